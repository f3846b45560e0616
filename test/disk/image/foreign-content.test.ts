/** What is no disk image is refused, whatever its name; and an image whose name says something else. */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import t from "tap";
import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib";
import { probeImageFormat } from "../../../src/disk/image/image-format.ts";
import { run } from "../../../src/io.ts";
import { noise } from "../fixtures.ts";

const refusal = (message: RegExp): { code: string; message: RegExp } => ({
  code: "DISK_IMAGE_UNSUPPORTED",
  message,
});

t.test("contents that are no disk", async (t) => {
  const folder = t.testdir();
  const image = path.join(folder, "whole.qcow2");
  await run({ file: "qemu-img", args: ["create", "-q", "-f", "qcow2", image, "1M"] });
  const content = await readFile(image);
  const pack = async (file: string, args: string[]): Promise<Buffer> => {
    await mkdir(path.join(folder, "packed"), { recursive: true });
    const out = path.join(folder, "packed", "out");
    await run({ file: "sh", args: ["-c", '"$@" > "$0"', out, file, ...args], cwd: folder });
    return readFile(out);
  };
  const beginning = (hex: string): Buffer => Buffer.concat([Buffer.from(hex, "hex"), noise(1, 100_000)]);
  const cases: readonly (readonly [name: string, content: Buffer, message: RegExp])[] = [
    ["a web page", Buffer.from("<!DOCTYPE html><html><body>404 Not Found</body></html>\n"), /web page/],
    ["a web page in capitals after lines", Buffer.from("\n \n<HTML>\n"), /web page/],
    ["a long web page", Buffer.from(`<html lang="en">${"<p>text</p>".repeat(10_000)}`), /web page/],
    ["an error of an object store", Buffer.from('\u{FEFF}<?xml version="1.0"?><Error/>'), /web page/],
    ["an error in JSON", Buffer.from('{"message":"Not Found"}'), /it is a text/],
    ["an error in words", Buffer.from("404: Not Found"), /it is a text/],
    ["gzip", gzipSync(content), /compressed with gzip/],
    ["zstd", zstdCompressSync(content), /compressed with zstd/],
    ["xz", beginning("fd377a585a00"), /compressed with xz/],
    [
      "bzip2",
      await pack("bzip2", ["-c", "whole.qcow2"]).catch(() => beginning("425a6839314159265359")),
      /bzip2/,
    ],
    ["bzip2 of nothing", Buffer.from("425a683917724538509000000000", "hex"), /bzip2/],
    ["lz4", beginning("04224d18"), /lz4/],
    ["lzma", beginning("5d00008000ffffffff"), /lzma/],
    ["7z", beginning("377abcaf271c"), /7z archive/],
    ["RAR", beginning("526172211a0700"), /RAR archive/],
    ["zip", beginning("504b0304"), /zip archive/],
    ["an empty zip", Buffer.from(`504b0506${"00".repeat(18)}`, "hex"), /zip archive/],
    ["tar (an OVA)", await pack("tar", ["-c", "whole.qcow2"]), /tar archive/],
    ["GNU tar", await pack("tar", ["--format=gnu", "-c", "whole.qcow2"]), /tar archive/],
    ["a tar as of 1979", await pack("tar", ["--format=v7", "-c", "whole.qcow2"]), /tar archive/],
    ["cpio", beginning("303730373031"), /cpio archive/],
    ["a VMDK descriptor", Buffer.from("# Disk DescriptorFile\nversion=1\n"), /separate descriptor/],
    [
      "a VMDK descriptor after a line",
      Buffer.from("\n# Disk DescriptorFile\nversion=1\n"),
      /separate descriptor/,
    ],
    ["a VMDK descriptor with a mark", Buffer.from("\u{FEFF}# Disk DescriptorFile\n"), /separate descriptor/],
    [
      "a VMDK descriptor without a head",
      Buffer.from('version=1\ncreateType="vmfs"\n'),
      /separate descriptor/,
    ],
    ["a Git LFS pointer", Buffer.from("version https://git-lfs.github.com/spec/v1\n"), /Git LFS pointer/],
    [
      "a Git LFS pointer with a mark",
      Buffer.from("\u{FEFF}version https://git-lfs.github.com/spec/v1\n"),
      /Git LFS/,
    ],
    ["VMDK of ESX", beginning("434f5744"), /VMDK version 3/],
    ["DMG", Buffer.concat([noise(1, 70_000), Buffer.from("koly"), Buffer.alloc(508)]), /DMG/],
  ];
  for (const [name, bytes, message] of cases) {
    for (const ending of ["qcow2", "img", "raw"]) {
      const file = path.join(folder, `disk.${ending}`);
      await writeFile(file, bytes);
      await t.rejects(probeImageFormat(file), refusal(message), `${name} as .${ending}`);
    }
  }
});

t.test("a name that claims a format", async (t) => {
  const folder = t.testdir();
  const images: Record<string, string> = { raw: path.join(folder, "disk.raw") };
  await writeFile(images["raw"] ?? "", noise(1, 200_000));
  for (const format of ["qcow2", "vmdk", "vdi", "vhdx", "vpc"]) {
    images[format] = path.join(folder, format);
    const args = ["convert", "-f", "raw", "-O", format, images["raw"] ?? "", images[format]];
    await run({ file: "qemu-img", args });
  }
  images["fixed"] = path.join(folder, "fixed");
  const args = [
    "convert",
    "-f",
    "raw",
    "-O",
    "vpc",
    "-o",
    "subformat=fixed",
    images["raw"] ?? "",
    images["fixed"],
  ];
  await run({ file: "qemu-img", args });
  const rightFor: Record<string, readonly string[]> = {
    qcow2: ["qcow2"],
    QCOW2: ["qcow2"],
    vmdk: ["vmdk"],
    vdi: ["vdi"],
    vhdx: ["vhdx"],
    vhd: ["vpc", "fixed"],
    img: Object.keys(images),
    bin: Object.keys(images),
  };
  for (const [ending, right] of Object.entries(rightFor)) {
    const named = path.join(folder, `named.${ending}`);
    for (const [format, image] of Object.entries(images)) {
      await rename(image, named);
      const probing = probeImageFormat(named);
      if (right.includes(format)) await t.resolves(probing, `${format} named .${ending}`);
      else
        await t.rejects(probing, refusal(/its name says .*, its content is /), `${format} named .${ending}`);
      await rename(named, image);
    }
  }
  const iso = Buffer.concat([Buffer.alloc(0x8001), Buffer.from("CD001"), Buffer.alloc(4096)]);
  await writeFile(path.join(folder, "seed.iso"), iso);
  t.match(
    await probeImageFormat(path.join(folder, "seed.iso")),
    { format: "raw" },
    "guests mount an ISO as a disk",
  );
  await writeFile(path.join(folder, "brotli.img"), brotliCompressSync(noise(1, 100_000)));
  t.match(
    await probeImageFormat(path.join(folder, "brotli.img")),
    { format: "raw" },
    "what has no mark is a disk",
  );
});

t.test("what needs another file, or a key", async (t) => {
  const folder = t.testdir();
  const file = (name: string): string => path.join(folder, name);
  const create = (format: string, name: string): Promise<string> =>
    run({ file: "qemu-img", args: ["create", "-q", "-f", format, file(name), "2M"] });
  const change = async (name: string, at: number, bytes: readonly number[]): Promise<void> => {
    const content = await readFile(file(name));
    Buffer.from(bytes).copy(content, at);
    await writeFile(file(name), content);
  };
  await create("qcow2", "marked.qcow2");
  await change("marked.qcow2", 79, [2]);
  await t.rejects(probeImageFormat(file("marked.qcow2")), refusal(/marked as corrupt/));
  await create("vdi", "linked.vdi");
  await change("linked.vdi", 424, [1]);
  await t.rejects(probeImageFormat(file("linked.vdi")), refusal(/parent image/));
  await create("vpc", "child.vhd");
  await change("child.vhd", 60, [0, 0, 0, 4]);
  await t.rejects(probeImageFormat(file("child.vhd")), refusal(/parent image/));
  await create("vhdx", "child.vhdx");
  await change("child.vhdx", 0x310004, [2]);
  await t.rejects(probeImageFormat(file("child.vhdx")), refusal(/parent image/));
  await create("qcow2", "encrypted.qcow2");
  await change("encrypted.qcow2", 35, [2]);
  await t.rejects(probeImageFormat(file("encrypted.qcow2")), refusal(/encrypted/));
});
