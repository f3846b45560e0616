/** The file of a disk image while its structures are looked at: what lies past its end is an error and never zeros. */
import { CollectiveError } from "../../errors.ts";
import { reasonOf } from "../../file-errors.ts";
import { openRegularFile } from "../../regular-file.ts";

export interface ImageFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** Exactly these bytes. @throws CollectiveError DISK_IMAGE_UNSUPPORTED when the file ends before them; `what` names them */
  read(offset: number, length: number, what: string): Promise<Buffer>;
  /** @throws CollectiveError DISK_IMAGE_UNSUPPORTED when the file ends before `end`. */
  requireUpTo(end: number, what: string): void;
}

/**
 * Opens `path` for `work`.
 * @throws CollectiveError DISK_IMAGE_MISSING, DISK_IMAGE_UNSUPPORTED when it is no regular file, and as `work`
 */
export async function withImageFile<Result>(
  path: string,
  work: (file: ImageFile) => Promise<Result>,
): Promise<Result> {
  const handle = await openRegularFile(path).catch((error: unknown) => {
    if (error instanceof CollectiveError) throw unsupported(path, "it is no regular file");
    throw missingImage(path, error);
  });
  try {
    const sizeBytes = (await handle.stat()).size;
    const requireUpTo = (end: number, what: string): void => {
      if (end > sizeBytes) throw cutImage(path, { what, end, sizeBytes });
    };
    return await work({
      path,
      sizeBytes,
      requireUpTo,
      read: async (offset, length, what) => {
        requireUpTo(offset + length, what);
        const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, offset);
        if (bytesRead < length) throw cutImage(path, { what, end: offset + length, sizeBytes });
        return buffer;
      },
    });
  } finally {
    await handle.close();
  }
}

/** An image that must not, or cannot, be read. */
export function unsupported(
  file: string,
  reason: string,
  hint = "make an image that stands alone: qemu-img convert -O qcow2 <image> <new image>",
): CollectiveError {
  return new CollectiveError("DISK_IMAGE_UNSUPPORTED", `the disk image ${file} cannot be used: ${reason}`, {
    data: { file },
    hint,
  });
}

function cutImage(
  file: string,
  { what, end, sizeBytes }: { readonly what: string; readonly end: number; readonly sizeBytes: number },
): CollectiveError {
  return unsupported(
    file,
    `it ends before its data: ${what} needs ${end} bytes, the file has ${sizeBytes}`,
    "a copy or a download was cut short: fetch or make the image again",
  );
}

/** An image that is not there, or that the user may not read. */
export function missingImage(file: string, cause: unknown): CollectiveError {
  const { reason } = reasonOf(cause);
  return new CollectiveError("DISK_IMAGE_MISSING", `cannot read the disk image ${file}: ${reason}`, {
    data: { file },
    hint: "the VM description names it under disks, source",
    cause,
  });
}
