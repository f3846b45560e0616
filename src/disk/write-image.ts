/** Writes a disk's content into a new image file, reads it back and compares. */
import { link, lstat, mkdtemp, open, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { CollectiveError } from "../errors.ts";
import { run, stderrOf } from "../io.ts";
import { createDiskDigest } from "./disk-digest.ts";
import { CHUNK_BYTES } from "./format.ts";
import { readChunks, type PlainChunk } from "./nbd/disk-chunks.ts";
import { openImage, type OpenedImage } from "./nbd/qemu-nbd.ts";
import { temporaryFile } from "./temporary-file.ts";
import { wrapWriteErrors } from "./write-errors.ts";

export type WrittenFormat = "raw" | "qcow2";

export interface WriteImageOptions {
  /** Absolute. Appears only when it is whole; nobody but its owner may read it. */
  readonly target: string;
  readonly format: WrittenFormat;
  readonly sizeBytes: number;
  /** What is not zero, ascending. */
  readonly chunks: AsyncIterable<PlainChunk>;
  /** A regular file of that name is replaced; otherwise it is refused. */
  readonly replace: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: WriteProgress) => void) | undefined;
}

export interface WriteProgress {
  readonly stage: "write" | "verify";
  readonly doneBytes: number;
}

export interface WrittenImage {
  /** Of the content: docs/disk-format.md, "Disk digest". */
  readonly digest: string;
  /** Of chunks that are not zero. */
  readonly dataBytes: number;
}

/**
 * Sparse: what is zero takes no room.
 * @throws CollectiveError DISK_TARGET_EXISTS, FILE_NOT_REGULAR, DISK_WRITE_FAILED, DISK_COPY_DIFFERS, PROCESS_MISSING; what `chunks` and
 *   `signal` throw. Then nothing of it is left.
 */
export async function writeImage(options: WriteImageOptions): Promise<WrittenImage> {
  const { target, format, sizeBytes, replace, signal } = options;
  await checkTarget(target, { replace });
  return wrapWriteErrors(target, async () => {
    const temporary = await temporaryFile(path.dirname(target));
    const folder = await mkdtemp(path.join(socketParent(), "cui-image-"));
    const image = { file: temporary, format, socket: path.join(folder, "nbd") };
    try {
      await createEmpty(temporary, format, sizeBytes);
      const written = await withImage({ ...image, writable: true }, (opened) => fill(opened, options));
      await forget(temporary);
      const found = await withImage({ ...image, writable: false }, (opened) => digestOf(opened, options));
      if (found.digest !== written.digest) throw differs(target);
      signal?.throwIfAborted();
      await putInPlace(temporary, target, replace);
      return written;
    } catch (error) {
      throw asWriteError(error, target);
    } finally {
      await rm(temporary, { force: true });
      await rm(folder, { recursive: true, force: true });
    }
  });
}

/**
 * To be asked before anything is read for it.
 * @throws CollectiveError DISK_TARGET_EXISTS, FILE_NOT_REGULAR for what a file must not take the place of
 */
export async function checkTarget(target: string, { replace }: { readonly replace: boolean }): Promise<void> {
  const found = await lstat(target).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isFile()) {
    throw new CollectiveError("FILE_NOT_REGULAR", `${target} is there and is no regular file`, {
      data: { file: target },
      hint: "name a new file: what goes into a device or a pipe cannot be read back and compared",
    });
  }
  if (!replace) throw targetExists(target);
}

/** The path of a socket has at most 107 bytes. */
function socketParent(): string {
  return tmpdir().length > 80 ? "/tmp" : tmpdir();
}

type ImageOptions = Parameters<typeof openImage>[0];

async function withImage<Result>(
  options: ImageOptions,
  work: (image: OpenedImage) => Promise<Result>,
): Promise<Result> {
  const image = await openImage(options);
  try {
    return await work(image);
  } finally {
    await image.close();
  }
}

async function createEmpty(file: string, format: WrittenFormat, sizeBytes: number): Promise<void> {
  await (await open(file, "wx", 0o600)).close();
  const args = ["create", "-q", "-f", format, "--", file, String(sizeBytes)];
  await run({ file: "qemu-img", args, env: { LC_ALL: "C" } });
}

async function fill({ client }: OpenedImage, options: WriteImageOptions): Promise<WrittenImage> {
  const digest = createDiskDigest(options.sizeBytes);
  let dataBytes = 0;
  for await (const { position, bytes } of untilAborted(options.chunks, options.signal)) {
    digest.add(position, bytes);
    await client.write(position * CHUNK_BYTES, bytes);
    dataBytes += bytes.length;
    options.onProgress?.({ stage: "write", doneBytes: dataBytes });
  }
  await client.flush();
  return { digest: digest.end(), dataBytes };
}

/** A source that hangs is not waited for when the signal comes. */
async function* untilAborted(
  chunks: AsyncIterable<PlainChunk>,
  signal: AbortSignal | undefined,
): AsyncGenerator<PlainChunk, void> {
  const source = chunks[Symbol.asyncIterator]();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => {
    reject(signal?.reason as Error);
  };
  aborted.catch(() => undefined); // seen where the next chunk is waited for
  signal?.addEventListener("abort", onAbort);
  if (signal?.aborted === true) onAbort();
  try {
    for (;;) {
      const next = source.next();
      next.catch(() => undefined);
      const result = await Promise.race([next, aborted]);
      if (result.done === true) return;
      yield result.value;
    }
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

async function digestOf({ client }: OpenedImage, options: WriteImageOptions): Promise<WrittenImage> {
  const digest = createDiskDigest(client.sizeBytes);
  let dataBytes = 0;
  for await (const { position, bytes } of readChunks(client)) {
    options.signal?.throwIfAborted();
    digest.add(position, bytes);
    dataBytes += bytes.length;
    options.onProgress?.({ stage: "verify", doneBytes: dataBytes });
  }
  return { digest: digest.end(), dataBytes };
}

/** What is read back then comes from the disk, where the file system can do that. @see dd(1), "Drop cache for whole file" */
async function forget(file: string): Promise<void> {
  const args = [`if=${file}`, "iflag=nocache", "count=0", "status=none"];
  await run({ file: "dd", args }).catch(() => undefined);
}

/** Something that came to stand there meanwhile is not replaced either. */
async function putInPlace(temporary: string, target: string, replace: boolean): Promise<void> {
  if (replace) {
    await checkTarget(target, { replace });
    await rename(temporary, target);
  } else {
    try {
      await link(temporary, target);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? "";
      if (code === "EEXIST") throw targetExists(target);
      if (!NO_LINKS.has(code)) throw error;
      await (await open(target, "wx", 0o600)).close();
      await rename(temporary, target);
    }
  }
  const folder = await open(path.dirname(target), "r");
  await folder.sync().finally(() => folder.close());
}

/** What file systems without hard links say. */
const NO_LINKS: ReadonlySet<string> = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"]);

/** Of qemu-img and qemu-nbd, which have the file open; what `chunks` throws is another's business. */
function asWriteError(error: unknown, target: string): unknown {
  if (!(error instanceof CollectiveError)) return error;
  if (error.code !== "DISK_NBD_FAILED" && error.code !== "PROCESS_FAILED") return error;
  const isFull = error.data["reason"] === "ENOSPC" || /no space left|quota exceeded/i.test(stderrOf(error));
  return new CollectiveError("DISK_WRITE_FAILED", `cannot write ${target}: ${error.message}`, {
    cause: error,
    data: { target, ...(isFull ? { reason: "ENOSPC" } : {}) },
    hint: isFull ? "make room and try again" : "check the folder and its permissions",
  });
}

function targetExists(target: string): CollectiveError {
  return new CollectiveError("DISK_TARGET_EXISTS", `${target} is there already`, {
    data: { target },
    hint: "name another file, move it away, or say --force to replace it; nothing was changed",
  });
}

function differs(target: string): CollectiveError {
  return new CollectiveError(
    "DISK_COPY_DIFFERS",
    `what was read back from the copy for ${target} is not what was written into it; the copy was removed`,
    {
      data: { target },
      hint: "the disk or the memory of this machine may fail: try another disk, and see the system's log",
    },
  );
}
