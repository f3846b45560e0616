/** How a repository names its objects. */
import type { Git } from "./git.ts";

export type ObjectFormat = "sha1" | "sha256";

/** Undefined where there is no repository, or a damaged one. */
export async function objectFormatOf(git: Git): Promise<ObjectFormat | undefined> {
  const { stdout } = await git.status({ args: ["rev-parse", "--show-object-format"] });
  const format = stdout.trim();
  return format === "sha1" || format === "sha256" ? format : undefined;
}
