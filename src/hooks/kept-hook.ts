/** The hook that was there before ours: it gets what git gave us, and its word counts. */
import { access, constants } from "node:fs/promises";
import path from "node:path";
import { CollectiveError } from "../errors.ts";
import { runInherited } from "../io.ts";

export interface KeptHook {
  /** Its file, which need not be there. */
  readonly file: string | undefined;
  readonly cwd: string;
  readonly args: readonly string[];
  /** Its standard input. */
  readonly input?: string | Uint8Array;
}

/**
 * Runs it where there is one, in the environment git made for hooks.
 * @throws CollectiveError HOOK_REFUSED when it ends with another exit code than 0
 */
export async function runKeptHook({ file, cwd, args, input }: KeptHook): Promise<void> {
  if (file === undefined) return;
  const absolute = path.resolve(cwd, file);
  if (!(await isRunnable(absolute))) return;
  const exitCode = await runInherited({
    file: absolute,
    args,
    cwd,
    ...(input === undefined ? {} : { input }),
  });
  if (exitCode === 0) return;
  throw new CollectiveError("HOOK_REFUSED", `the hook ${file} refused (exit code ${exitCode})`, {
    data: { file, exitCode },
    hint: "it is the repository's own hook, which was there before Collective's; read what it says above",
  });
}

/** Whether git would run the hook in that file. */
export async function isRunnable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
