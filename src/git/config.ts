/** The configuration of a repository, with what it inherits from the user and the machine. */
import { gitStatus } from "./git.ts";

/** One value, the last that was set; undefined without one. */
export async function configValue(folder: string, name: string): Promise<string | undefined> {
  const { stdout, exitCode } = await gitStatus({ folder, args: ["config", "--get", name] });
  return exitCode === 0 ? stdout.replace(/\n$/, "") : undefined;
}
