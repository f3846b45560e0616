/** The configuration of a repository, with what it inherits from the user and the machine. */
import type { Git } from "./git.ts";

/** One value, the last that was set; undefined without one. */
export async function configValue(git: Git, name: string): Promise<string | undefined> {
  const { stdout, exitCode } = await git.status({ args: ["config", "--get", name] });
  return exitCode === 0 ? stdout.replace(/\n$/, "") : undefined;
}
