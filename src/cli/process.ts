/** The process around `runCli`. */
import { runCli } from "./main.ts";
import { openOutput } from "./output.ts";

const [node = process.execPath, cui] = process.argv;
const output = openOutput(process.stdout);
const errors = openOutput(process.stderr);
let status = "";

const exitCode = await runCli(process.argv.slice(2), {
  // Read where errors are reported: it may have been removed.
  get cwd() {
    return process.cwd();
  },
  env: process.env,
  ...(cui === undefined ? {} : { program: { node, cui } }),
  startedAtMs: 0,
  isTerminal: process.stdout.isTTY && process.env["CI"] === undefined,
  print: (text) => {
    showStatus("");
    output.write(`${text}\n`);
  },
  warn,
  ...(process.stderr.isTTY && process.env["CI"] === undefined ? { showStatus } : {}),
  ...(process.stdin.isTTY && process.stderr.isTTY ? { ask } : {}),
});
const failure = await output.end();
if (failure !== undefined) warn(`error: standard output cannot be written: ${failure.message}`);
process.exitCode = failure === undefined || exitCode !== 0 ? exitCode : 1;

function warn(text: string): void {
  showStatus("");
  errors.write(`${text}\n`);
}

/** On standard error as well; an end of the input is an empty answer. */
async function ask(question: string): Promise<string> {
  const { createInterface } = await import("node:readline/promises");
  showStatus("");
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const ended = new Promise<string>((resolve) => {
    terminal.once("close", () => {
      resolve("");
    });
  });
  try {
    return await Promise.race([terminal.question(question), ended]);
  } finally {
    terminal.close();
  }
}

/** On standard error, so that what is printed can go anywhere. */
function showStatus(text: string): void {
  if (text === status) return;
  status = text;
  errors.write(`\r\u001b[2K${text.slice(0, (process.stderr.columns || 80) - 1)}`);
}
