/** What a data disk's header says. A machine that was broken into may have written it: nothing of it is followed. */
import { CollectiveError, messageOf } from "../../errors.ts";
import { openRegularFile } from "../../regular-file.ts";

export interface InspectedDisk {
  /** Null when the file is no qcow2. */
  readonly sizeBytes: number | null;
  readonly allocatedBytes: number;
  /** Snapshots inside the file. */
  readonly snapshots: number;
  /** Why it must not be opened by whoever may read everything; undefined when it may. */
  readonly refusal: string | undefined;
}

const MAGIC = 0x514649fb;
const HEADER_BYTES = 80;
const EXTERNAL_DATA = 4n;

/** Undefined when there is no such file. @see QEMU docs/interop/qcow2.txt, "Header" */
export async function inspectDataDisk(file: string): Promise<InspectedDisk | undefined> {
  let handle;
  try {
    handle = await openRegularFile(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    // A pipe, say: it costs its own machine, not the list.
    return { sizeBytes: null, allocatedBytes: 0, snapshots: 0, refusal: messageOf(error) };
  }
  try {
    const { blocks } = await handle.stat();
    const header = Buffer.alloc(HEADER_BYTES);
    const { bytesRead } = await handle.read(header, 0, HEADER_BYTES, 0);
    const allocatedBytes = blocks * 512;
    if (bytesRead < HEADER_BYTES || header.readUInt32BE(0) !== MAGIC)
      return { sizeBytes: null, allocatedBytes, snapshots: 0, refusal: "it is no qcow2 disk" };
    return {
      sizeBytes: Number(header.readBigUInt64BE(24)),
      allocatedBytes,
      snapshots: header.readUInt32BE(60),
      refusal: refusalOf(header),
    };
  } finally {
    await handle.close();
  }
}

/** @throws CollectiveError HOST_DISK_DAMAGED */
export function damagedDisk(file: string, why: string): CollectiveError {
  return new CollectiveError("HOST_DISK_DAMAGED", `${file} cannot be used: ${why}`, {
    data: { file },
    hint: "its file was changed or damaged outside Collective; restore it from a backup",
  });
}

function refusalOf(header: Buffer): string | undefined {
  if (header.readBigUInt64BE(8) !== 0n) return "it has a backing file";
  if (header.readUInt32BE(32) !== 0) return "it is encrypted";
  const hasFeatures = header.readUInt32BE(4) >= 3;
  if (hasFeatures && (header.readBigUInt64BE(72) & EXTERNAL_DATA) !== 0n)
    return "its data is in another file";
  return undefined;
}
