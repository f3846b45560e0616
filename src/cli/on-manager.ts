/** `cui --on user@manager …`: the same command, run on the cluster manager over ssh. */
import { CollectiveError } from "../errors.ts";
import { runInherited } from "../io.ts";
import type { CliContext } from "./context.ts";

/** `args` is what follows `--on`; resolves to the remote exit status. */
export async function runOnManager(args: readonly string[], context: CliContext): Promise<number> {
  const [manager, ...rest] = args;
  if (manager === undefined || manager.startsWith("-") || rest.length === 0) {
    throw new CollectiveError("USAGE", "--on expects user@manager and a command", {
      hint: "cui --on root@manager status",
    });
  }
  const terminal = context.isTerminal ? ["-t"] : [];
  return runInherited({
    file: "ssh",
    args: [...terminal, "--", manager, ["cui", ...rest].map(quoteForShell).join(" ")],
  });
}

/** ssh hands the words to the remote user's shell as one line: each is quoted so that it arrives as it is. */
export function quoteForShell(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
