/** The process around `runCli`. */
import { runCli } from "./main.ts";

const [node = process.execPath, cui] = process.argv;
let status = "";

process.exitCode = await runCli(process.argv.slice(2), {
  cwd: process.cwd(),
  env: process.env,
  ...(cui === undefined ? {} : { program: { node, cui } }),
  startedAtMs: 0,
  isTerminal: process.stdout.isTTY && process.env["CI"] === undefined,
  print: (text) => {
    showStatus("");
    process.stdout.write(`${text}\n`);
  },
  warn: (text) => {
    showStatus("");
    process.stderr.write(`${text}\n`);
  },
  ...(process.stderr.isTTY && process.env["CI"] === undefined ? { showStatus } : {}),
});

/** On standard error, so that what is printed can go anywhere. */
function showStatus(text: string): void {
  if (text === status) return;
  status = text;
  process.stderr.write(`\r\u001b[2K${text.slice(0, (process.stderr.columns || 80) - 1)}`);
}
