/** The one door for files that a user or a stranger names: never a pipe, which would be waited for, nor a device without an end. */
import { constants } from "node:fs";
import { open, stat, type FileHandle } from "node:fs/promises";
import { CollectiveError } from "./errors.ts";

/** More than any text or certificate has. */
const MAX_BYTES = 64 * 1024 * 1024;

/**
 * Reads a regular file whole; symbolic links are followed.
 * @throws CollectiveError FILE_NOT_REGULAR, FILE_TOO_LARGE; and what the file system says, with its code
 */
export async function readRegularFile(
  file: string,
  { maxBytes = MAX_BYTES }: { readonly maxBytes?: number } = {},
): Promise<Buffer> {
  const handle = await openRegularFile(file);
  try {
    const { size } = await handle.stat();
    if (size > maxBytes) {
      throw new CollectiveError("FILE_TOO_LARGE", `${file} has ${size} bytes, at most ${maxBytes} are read`, {
        data: { file, sizeBytes: size },
      });
    }
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

/**
 * Opens a regular file for reading.
 * @throws CollectiveError FILE_NOT_REGULAR; and what the file system says, with its code
 */
export async function openRegularFile(file: string): Promise<FileHandle> {
  requireRegular(file, await stat(file)); // opening a device may already do something
  // It may have been replaced since: a pipe that nobody writes into is not waited for.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    requireRegular(file, await handle.stat());
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

type Found = Awaited<ReturnType<typeof stat>>;

/** @throws CollectiveError FILE_NOT_REGULAR */
export function requireRegular(file: string, found: Found): void {
  if (found.isFile()) return;
  throw new CollectiveError("FILE_NOT_REGULAR", `${file} is ${kindOf(found)}, not a regular file`, {
    data: { file },
    hint: "name a file: what a pipe or a device gives can be saved into one first",
  });
}

function kindOf(found: Found): string {
  if (found.isDirectory()) return "a directory";
  if (found.isFIFO()) return "a named pipe (FIFO)";
  if (found.isSocket()) return "a socket";
  return found.isBlockDevice() ? "a block device" : "a character device";
}
