/** What a file system refuses, in one line: that is the user's or the machine's business, not a defect of the program. */
import { CollectiveError, messageOf } from "./errors.ts";

/** By code: the words of the C library, and what can be done. @see errno(3) */
const REASONS: Readonly<Record<string, readonly [words: string, hint: string]>> = {
  EACCES: [
    "permission denied",
    "check the owner and the permissions of the path and of the folders above it",
  ],
  EPERM: ["operation not permitted", "check the owner of the path, and whether it is immutable (lsattr)"],
  EROFS: ["read-only file system", "name another folder, or mount the file system writable"],
  ENOSPC: ["no space left on device", "make room (df, df -i) and try again"],
  EDQUOT: ["disk quota exceeded", "make room and try again"],
  EISDIR: ["is a directory", "a folder stands where a file should: name a file, or move the folder away"],
  ENOTDIR: [
    "not a directory",
    "a file stands where a folder should: name another path, or move the file away",
  ],
  EEXIST: ["file exists", "something of that name stands in the way: move it away, or name another path"],
  ENOTEMPTY: ["directory not empty", "move away what lies in it"],
  ENOENT: [
    "no such file or directory",
    "check the path: a part of it is not there, or was removed meanwhile",
  ],
  ELOOP: ["too many levels of symbolic links", "a symbolic link leads back to itself: remove it"],
  ENAMETOOLONG: ["file name too long", "use shorter names: most file systems take 255 bytes a name"],
  EMFILE: ["too many open files", "let the process open more: ulimit -n, or LimitNOFILE= of its unit"],
  ENFILE: ["too many open files in system", "the machine's limit is used up: sysctl fs.file-max"],
  EFBIG: ["file too large", "the file system or a limit (ulimit -f) takes no such large file"],
  EIO: ["input/output error", "the device or the network file system fails: see the system's log"],
  EBUSY: ["device or resource busy", "something else uses it: try again"],
  ETXTBSY: ["text file busy", "a running program uses it: end that first"],
  EXDEV: ["cross-device link", "the two paths lie on different file systems"],
  ESTALE: ["stale file handle", "the network file system lost it: mount it again"],
  ENXIO: ["no such device or address", "it is no regular file"],
  ENODEV: ["no such device", "it is no regular file"],
  EMLINK: ["too many links", "the file system takes no more of them: clean up the folder"],
  EOVERFLOW: ["value too large for defined data type", "the file is too large to be handled here"],
};

/** What was tried, by the call of the system. */
const ATTEMPTS: Readonly<Record<string, string>> = {
  ...{ open: "open", read: "read", readlink: "read", write: "write", fsync: "write", fdatasync: "write" },
  ...{ ftruncate: "write", truncate: "write", mkdir: "create the folder", mkdtemp: "create a folder in" },
  ...{ rename: "rename", unlink: "remove", rmdir: "remove", rm: "remove", scandir: "list", opendir: "list" },
  ...{ stat: "look at", lstat: "look at", fstat: "look at", statfs: "look at", access: "access" },
  ...{ realpath: "look at", chmod: "change", fchmod: "change", chown: "change", fchown: "change" },
  ...{ utime: "change", futime: "change", lutime: "change", link: "create", symlink: "create" },
  ...{ copyfile: "copy", cp: "copy", watch: "watch", ftell: "read", uv_cwd: "find the working folder" },
};

/** Codes of Node that mean that a file system refused. */
export function isFileErrorCode(code: unknown): code is string {
  return typeof code === "string" && Object.hasOwn(REASONS, code);
}

/** What to say of an error where the file is named already: the file system's in words, any other as it says it. */
export function reasonOf(error: unknown): { readonly reason: string; readonly hint: string | undefined } {
  if (error instanceof CollectiveError) return { reason: error.message, hint: error.hint };
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const [reason = messageOf(error), hint] = isFileErrorCode(code) ? (REASONS[code] ?? []) : [];
  return { reason, hint };
}

/**
 * The error as FILE_SYSTEM_FAILED when it is one of the file system's; undefined for any other. Only for the edges, where errors are
 * printed or sent: in between, what is expected (ENOENT) is told by its code.
 */
export function asFileError(error: unknown): CollectiveError | undefined {
  if (!(error instanceof Error) || error instanceof CollectiveError || !("code" in error)) return undefined;
  const { code, syscall, path, dest } = error as NodeJS.ErrnoException & { readonly dest?: string };
  const attempt = Object.hasOwn(ATTEMPTS, syscall ?? "") ? ATTEMPTS[syscall ?? ""] : undefined;
  const [words, hint] = isFileErrorCode(code) ? (REASONS[code] ?? []) : [];
  if (attempt === undefined || words === undefined) return undefined;
  const what = [path, dest].filter((name) => name !== undefined).join(" to ");
  const message = `cannot ${attempt}${what === "" ? "" : ` ${what}`}: ${words} (${code ?? ""})`;
  return new CollectiveError("FILE_SYSTEM_FAILED", message, {
    data: { reason: code, ...(path === undefined ? {} : { path }) },
    hint,
    cause: error,
  });
}
