/** The guest whose data accidents must not lose: the boot sector of keeper.s, and what it leaves on its data disk. */

/** keeper.s assembled. */
const CODE = [
  "ea057c000031c08ed88ec08ed0bc007cfcba0206b80001ef31dbb120e89700bf0080b90001f36d66813e00804b454550743d",
  "66c70600804b4545500f3166a30480668916088066c7060c8000000000bf0082b980006669c00d66190066055ff36e3c66ab",
  "e2efbe0082bb0008e87c0066ff060c80be008031dbe86f00be387de89c0066a10880e8790066a10480e87200b020e8940066",
  "a10c80e86600be407de87c00fbf4ba0006edf6c40174f5ba0406b80020efebecbaf701e829004ab0e0eebaf201b001ee4288",
  "d8ee4288f8ee4230c0eebaf70188c8eeeca88075fba80874f7baf001c3eca88075fbc3b130e8c6ffb90001f36fbaf701e8ea",
  "ffb0e7eee8e4ffc3b10866c1c0046650240f04303c3976020427e812006658fec975e7c3ac84c07405e80300ebf6c350bafd",
  "03eca82074fb58baf803eec36b6565706572200020656e640d0a00",
].join("");
const SECTOR = 512;
const TEXT_AT = 1024 * 1024;

/** What a guest has told it keeps. */
export interface Kept {
  /** Chosen by the guest that found the disk empty. */
  readonly name: string;
  /** Starts so far. */
  readonly starts: number;
}

/** A program disk of 1 MiB; versions differ behind the boot sector. */
export function keeperDisk(version: number): Uint8Array {
  const disk = Buffer.alloc(1024 * 1024);
  disk.write(CODE, "hex");
  disk.writeUInt16LE(0xaa55, SECTOR - 2);
  disk.writeUInt8(version, SECTOR);
  return disk;
}

/** What a guest said on its console, each start a line. */
export function readConsole(text: string): Kept[] {
  return [...text.matchAll(/keeper ([0-9a-f]{16}) ([0-9a-f]{8}) end/g)].map(([, name = "", starts = ""]) => ({
    name,
    starts: Number.parseInt(starts, 16),
  }));
}

/** What is on a data disk; undefined where no guest has written. `isWhole`: the text is the one that goes with the name. */
export function readDataDisk(disk: Buffer): (Kept & { readonly isWhole: boolean }) | undefined {
  if (disk.length < SECTOR || disk.toString("latin1", 0, 4) !== "KEEP") return undefined;
  const [low, high] = [disk.readUInt32LE(4), disk.readUInt32LE(8)];
  const hex = (value: number): string => value.toString(16).padStart(8, "0");
  return {
    name: hex(high) + hex(low),
    starts: disk.readUInt32LE(12),
    isWhole: disk.subarray(TEXT_AT, TEXT_AT + SECTOR).equals(textOf(low)),
  };
}

function textOf(seed: number): Buffer {
  const text = Buffer.alloc(SECTOR);
  let value = seed;
  for (let at = 0; at < SECTOR; at += 4) {
    value = (Math.imul(value, 1664525) + 1013904223) >>> 0;
    text.writeUInt32LE(value, at);
  }
  return text;
}
