/** How the verbs call git. */
import { openGit, type Git } from "../git/git.ts";
import type { CliContext } from "./context.ts";

/** In the folder the command was given in, with its environment. */
export function gitOf({ cwd, env }: CliContext): Git {
  return openGit({ folder: cwd, env });
}
