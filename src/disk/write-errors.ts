/** A full or read-only disk is the user's business, not a defect of the program. */
import { CollectiveError } from "../errors.ts";
import { isFileErrorCode } from "../file-errors.ts";

/**
 * Runs `work`, which writes `target`.
 * @throws CollectiveError DISK_WRITE_FAILED in place of the errors a file system gives
 */
export async function wrapWriteErrors<Result>(target: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error) || error instanceof CollectiveError) throw error;
    if (!isFileErrorCode(error.code)) throw error;
    throw new CollectiveError("DISK_WRITE_FAILED", `cannot write ${target}: ${error.message}`, {
      data: { target, reason: error.code },
      hint:
        error.code === "ENOSPC" || error.code === "EDQUOT"
          ? "make room and try again"
          : "check the folder and its permissions",
      cause: error,
    });
  }
}
