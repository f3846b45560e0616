/** An export of a data disk that no machine has open, by qemu-nbd. */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { randomBytes } from "node:crypto";
import { CollectiveError } from "../../errors.ts";
import { openImage } from "../../disk/nbd/qemu-nbd.ts";
import type { HostFolders } from "../machine-paths.ts";
import type { ExportedDisk } from "./exports.ts";

/** While it is open nothing can write into the file: QEMU locks it. @throws CollectiveError HOST_EXPORT_FAILED, PROCESS_MISSING */
export async function openFile({ runDirectory }: HostFolders, file: string): Promise<ExportedDisk> {
  const folder = path.join(runDirectory, "exports");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const socket = path.join(folder, randomBytes(6).toString("hex"));
  try {
    return await openImage({ file, format: "qcow2", writable: false, socket });
  } catch (error) {
    if (error instanceof CollectiveError && error.code === "DISK_NBD_FAILED") throw exportFailed(file, error);
    throw error;
  }
}

export function exportFailed(file: string, cause: CollectiveError): CollectiveError {
  return new CollectiveError("HOST_EXPORT_FAILED", `${file} cannot be exported: ${cause.message}`, {
    cause,
    data: { file },
    hint: cause.hint,
  });
}
