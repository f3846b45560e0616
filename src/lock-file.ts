/**
 * The file behind a lock (file-lock.ts): how it is opened, whether it is still the one under its name, and the record in it. All of it
 * is a dozen calls that take microseconds each, so they are synchronous: a trip through the thread pool takes longer.
 */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from "node:fs";
import { CollectiveError } from "./errors.ts";
import { describeOwner, findOwner, isRecord, MAX_OWNER_BYTES, type LockOwner } from "./lock-owner.ts";

export interface LockFile {
  /** The lock of the kernel belongs to this descriptor, and goes with it. */
  readonly descriptor: number;
  /** An owner may have removed the file, and somebody may have made another one: then a lock on ours keeps nobody out. */
  isStillThere(): boolean;
  /** Who the file names and is alive. */
  readOwner(): LockOwner | undefined;
  /** Names this process. @throws CollectiveError FILE_LOCK_UNUSABLE when something that is not cui's stands in the file. */
  writeOwner(purpose: string): void;
  /** Takes the name out; `isRemoved`: with the file. */
  clear(isRemoved: boolean): void;
  close(): void;
}

/** @throws CollectiveError FILE_LOCK_UNUSABLE */
export function openLockFile(file: string, mode: number): LockFile {
  const { descriptor, isWritable } = openSafely(file, mode);
  const write = (record: string): void => {
    if (!isWritable) return;
    ftruncateSync(descriptor);
    writeSync(descriptor, record, 0);
  };
  return {
    descriptor,
    isStillThere: () => {
      const ours = fstatSync(descriptor, { bigint: true });
      const found = lstatSync(file, { bigint: true, throwIfNoEntry: false });
      return found?.dev === ours.dev && found.ino === ours.ino;
    },
    readOwner: () => findOwner(readStart(descriptor)),
    writeOwner: (purpose) => {
      if (!isRecord(readStart(descriptor))) throw lockFileUnusable(file, "something else is in it");
      asFarAsPossible(() => {
        write(describeOwner(purpose));
      });
    },
    clear: (isRemoved) => {
      asFarAsPossible(() => {
        write("");
        if (isRemoved) rmSync(file, { force: true });
      });
    },
    close: () => {
      closeSync(descriptor);
    },
  };
}

export function lockFileUnusable(file: string, reason: string, cause?: unknown): CollectiveError {
  return new CollectiveError("FILE_LOCK_UNUSABLE", `${file} cannot be locked: ${reason}`, {
    data: { file, reason },
    hint: "its folder must be there and writable; move the file away when it is not cui's",
    cause,
  });
}

/** Never through a symbolic link: the name may lie in a folder whose content came from strangers. */
function openSafely(
  file: string,
  mode: number,
): { readonly descriptor: number; readonly isWritable: boolean } {
  const opened = openForWriting(file, mode);
  if (fstatSync(opened.descriptor).isFile()) return opened;
  closeSync(opened.descriptor);
  throw lockFileUnusable(file, "it is no regular file");
}

function openForWriting(file: string, mode: number): { descriptor: number; isWritable: boolean } {
  const safely = constants.O_NOFOLLOW | constants.O_NONBLOCK;
  try {
    return {
      descriptor: openSync(file, constants.O_RDWR | constants.O_CREAT | safely, mode),
      isWritable: true,
    };
  } catch (error) {
    try {
      // Another user's file can be locked by whoever may read it.
      return { descriptor: openSync(file, constants.O_RDONLY | safely), isWritable: false };
    } catch {
      throw lockFileUnusable(file, reasonOf(error), error);
    }
  }
}

/** What stands in the file (the disk may be full, the file be gone) changes nothing about who holds the lock. */
function asFarAsPossible(change: () => void): void {
  try {
    change();
  } catch (error) {
    if (!(error instanceof Error && "syscall" in error)) throw error;
  }
}

function readStart(descriptor: number): string {
  const buffer = Buffer.alloc(MAX_OWNER_BYTES);
  return buffer.toString("utf8", 0, readSync(descriptor, buffer, 0, MAX_OWNER_BYTES, 0));
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the file system is read-only",
  ENOENT: "its folder is not there",
  ENOTDIR: "its folder is not a folder",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  ELOOP: "it is a symbolic link",
};

function reasonOf(error: unknown): string {
  const { code = "", message } = error as NodeJS.ErrnoException;
  return REASONS[code] ?? message;
}
