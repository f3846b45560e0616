/** Which folder holds the chunk index of a program disk. */

const MAX_NAME_LENGTH = 200;

/**
 * Folder of the chunk index of a program disk: `root.qcow2` has `disks/root.index`. Characters that mean something to git, to a shell
 * or to nobody are percent-encoded, as in CVL's maps: `Virtual Disk.vmdk` has `disks/Virtual%20Disk.index`.
 */
export function diskIndexPath(source: string): string {
  return `disks/${diskName(source)}.index`;
}

/** Names of two disks that differ have different indexes. */
export function diskName(source: string): string {
  const base = source.slice(source.lastIndexOf("/") + 1).replace(/\.[A-Za-z0-9]+$/, "");
  return base.replace(/^[._-]|[^A-Za-z0-9._-]+/gu, (odd) =>
    [...Buffer.from(odd)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(""),
  );
}

/** What is wrong with the name of a disk's file, or undefined when nothing is. */
export function diskNameProblem(source: string): string | undefined {
  const { length } = diskName(source);
  if (length === 0) return "the disk's file has no name before its ending";
  return length > MAX_NAME_LENGTH
    ? `the disk's file name is too long (${length} characters, encoded)`
    : undefined;
}
