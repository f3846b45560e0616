/** What is no disk, whatever its name: archives, compressed files, web pages, and images in formats that are not read. */

export interface Foreign {
  /** "it is …" */
  readonly what: string;
  readonly hint: string | undefined;
}

/** Enough to see what a file is; a tar's mark lies at 257. */
export const PROBE_BYTES = 64 * 1024;

/** Image formats that are neither raw nor supported, by how they begin. */
const FORMATS: readonly (readonly [name: string, magic: string])[] = [
  ["VMDK version 3", "COWD"],
  ["VMDK seSparse", "\u00be\u00ba\u00fe\u00ca"],
  ["QED", "QED\0"],
  ["Parallels", "WithoutFreeSpace"],
  ["Parallels", "WithouFreSpacExt"],
  ["Bochs", "Bochs Virtual HD Image"],
  ["LUKS", "LUKS\u00ba\u00be"],
  ["cloop", "#!/bin/sh\n#V2.0 Format\n"],
  ["WIM", "MSWIM\0\0\0"],
];

const PACKED: readonly (readonly [name: string, magic: string, unpack: string])[] = [
  ["compressed with gzip", "\u001f\u008b", "gunzip"],
  ["compressed with compress", "\u001f\u009d", "uncompress"],
  ["compressed with xz", "\u00fd7zXZ\0", "xz -d"],
  ["compressed with lzma", "]\0\0\u0080\0", "xz -d --format=lzma"],
  ["compressed with zstd", "(\u00b5/\u00fd", "zstd -d"],
  ["compressed with lz4", '\u0004"M\u0018', "lz4 -d"],
  ["compressed with lzip", "LZIP", "lzip -d"],
  ["compressed with lzop", "\u0089LZO\0\r\n\u001a\n", "lzop -d"],
  ["a zip archive", "PK\u0003\u0004", "unzip"],
  ["a zip archive", "PK\u0005\u0006", "unzip"],
  ["a zip archive", "PK\u0007\u0008", "unzip"],
  ["a 7z archive", "7z\u00bc\u00af'\u001c", "7z x"],
  ["a RAR archive", "Rar!\u001a\u0007", "unrar x"],
  ["a cpio archive", "070701", "cpio -i"],
  ["a cpio archive", "070702", "cpio -i"],
  ["a cpio archive", "070707", "cpio -i"],
];

/** What the content is, when it cannot be a disk: `head` are its first bytes, at most PROBE_BYTES of `sizeBytes`. */
export function foreignContent(head: Buffer, sizeBytes: number): Foreign | undefined {
  const beginning = head.toString("latin1", 0, 512);
  const format = FORMATS.find(([, magic]) => beginning.startsWith(magic));
  if (format !== undefined) return unread(format[0]);
  return packed(beginning) ?? textual(head, sizeBytes);
}

function unread(format: string): Foreign {
  return { what: `it is in the format ${format}, which is not read`, hint: undefined };
}

function packed(beginning: string): Foreign | undefined {
  const [name, , unpack] =
    PACKED.find(([, magic]) => beginning.startsWith(magic)) ??
    (/^BZh[1-9](1AY&SY|\u0017rE8P\u0090)/.test(beginning)
      ? ["compressed with bzip2", "", "bunzip2"]
      : beginning.startsWith("ustar", 257) || isOldTar(beginning)
        ? ["a tar archive (an OVA is one)", "", "tar -x"]
        : []);
  if (name === undefined) return undefined;
  return {
    what: `it is ${name}, not a disk image`,
    hint: `unpack it first (${unpack ?? ""}), and name what is inside`,
  };
}

/** A tar from before `ustar`: a name, then numbers in octal whose checksum is right. */
function isOldTar(block: string): boolean {
  if (block.length < 512 || !/^[^\0]/.test(block)) return false;
  const checksum = /^[ 0]*([0-7]{1,7})[ \0]/.exec(block.slice(148, 156))?.[1];
  if (checksum === undefined || !/^[ 0-7]+[ \0]*$/.test(block.slice(100, 108))) return false;
  const blank = `${block.slice(0, 148)}        ${block.slice(156)}`;
  const sum = Buffer.from(blank, "latin1").reduce((total, byte) => total + byte, 0);
  return sum === Number.parseInt(checksum, 8);
}

/** What a server or an editor made in place of an image. */
function textual(head: Buffer, sizeBytes: number): Foreign | undefined {
  const text = decodeText(head).trimStart();
  if (text.startsWith("# Disk DescriptorFile")) return unread("VMDK with a separate descriptor");
  if (text.startsWith("version https://git-lfs.github.com/spec/")) {
    return { what: "it is a Git LFS pointer, not the image itself", hint: "fetch the image: git lfs pull" };
  }
  if (/^<(!doctype|html|head|\?xml)\b/i.test(text)) {
    return {
      what: "it is a web page or XML, not a disk image",
      hint: "the address it was fetched from answered with an error page",
    };
  }
  if (!isText(head, sizeBytes)) return undefined;
  if (/^createType\s*=/im.test(text)) return unread("VMDK with a separate descriptor");
  return {
    what: "it is a text, not a disk image",
    hint: "look at it: an error message may have been saved in place of the image",
  };
}

function decodeText(head: Buffer): string {
  if (head[0] === 0xff && head[1] === 0xfe) return head.toString("utf16le", 2);
  return head.toString("utf8").replace(/^\u{FEFF}/u, "");
}

/** Whether all of a file, smaller than any disk, is what people or servers write. */
function isText(head: Buffer, sizeBytes: number): boolean {
  if (sizeBytes === 0 || sizeBytes >= PROBE_BYTES) return false;
  return head.every((byte) => byte >= 0x20 || (byte >= 0x09 && byte <= 0x0d));
}
