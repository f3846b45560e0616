/** The configuration of a repository, with what it inherits from the user and the machine. */
import type { Git } from "./git.ts";

/** One value, the last that was set; undefined without one. */
export async function configValue(git: Git, name: string): Promise<string | undefined> {
  const { stdout, exitCode } = await git.status({ args: ["config", "--get", name] });
  return exitCode === 0 ? stdout.replace(/\n$/, "") : undefined;
}

/** A boolean as git reads it: `yes`, `on`, `1`, a key without a value. @throws CollectiveError PROCESS_FAILED, in git's words, for what is none. */
export async function configFlag(git: Git, name: string): Promise<boolean | undefined> {
  const text = await git.run({ args: ["config", "--type=bool", "--get", name], allowedExitCodes: [0, 1] });
  return text === "" ? undefined : text.trim() === "true";
}
