/** The process around `runCli`. */
import { runCli } from "./main.ts";

const [node = process.execPath, cui] = process.argv;

process.exitCode = await runCli(process.argv.slice(2), {
  // Read where errors are reported: it may have been removed.
  get cwd() {
    return process.cwd();
  },
  env: process.env,
  ...(cui === undefined ? {} : { program: { node, cui } }),
  startedAtMs: 0,
  isTerminal: process.stdout.isTTY && process.env["CI"] === undefined,
  print: (text) => {
    process.stdout.write(`${text}\n`);
  },
  warn: (text) => {
    process.stderr.write(`${text}\n`);
  },
});
