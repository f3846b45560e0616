/**
 * Whether KVM really works here: /dev/kvm can be there and still hang a guest (nested, paravirtual). The probe boots a
 * sector that goes through protected mode and paging into 64-bit mode, as every kernel does, counts, and leaves through
 * QEMU's debug-exit port. Where KVM works it takes a tenth of a second; under one that does not, it hangs and is ended.
 */
import { access, constants, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import * as z from "zod";
import { run, writeFileAtomically } from "../io.ts";

export type Accelerator = "kvm" | "tcg";

/** KVM that hangs is waited for whenever it is asked; emulation may take its time. */
const PROBE_TIMEOUT_MS = { kvm: 3000, tcg: 60_000 };
/** The sector writes 0x10; QEMU exits with (value << 1) | 1. */
const PROBE_EXIT_CODE = 33;

/**
 * The probe's boot sector, 16-bit code at 0x7c00:
 *
 *     cli; ds = es = ss = 0; sp = 0x7c00
 *     clear 0x1000–0x3fff; PML4 at 0x1000 → PDPT at 0x2000 → PD at 0x3000 → one 2 MiB page at 0
 *     lgdt; cr4 |= PAE; cr3 = 0x1000; EFER |= LME; cr0 |= PG | PE; far jump to 64-bit code
 *     rax = 0x123456789; add 1 to it 2²⁴ times; if rax >> 32 is 1: out 0xf4, 0x10
 *     hlt
 */
const PROBE_CODE =
  "fa31c08ed88ec08ed0bc007cbf0010b90018fcf3abc70600100320c70600200330c7060030" +
  "83000f0116987c0f20e06683c8200f22e066b8001000000f22d866b9800000c00f32660d00" +
  "0100000f300f20c0660d010000800f22c0ea607c080048b88967452301000000b900000001" +
  "4883c001ffc975f848c1e82083f8017504b010e6f4f4ebfd90000000000000000000000000" +
  "009a20000f00887c0000";

const cacheSchema = z.object({ bootId: z.string(), accelerator: z.enum(["kvm", "tcg"]) });

/** In the user's cache folder, so that every lab of a boot knows. */
export function acceleratorCache(cache: string): string {
  return path.join(cache, "accelerator.json");
}

/** `kvm` where the probe came through, else `tcg`; asked once a boot, remembered in `cacheFile`. */
export async function findAccelerator(cacheFile: string): Promise<Accelerator> {
  const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  const cached = await readCache(cacheFile);
  if (cached?.bootId === bootId) return cached.accelerator;
  const accelerator = (await probeKvm()) ? "kvm" : "tcg";
  await mkdir(path.dirname(cacheFile), { recursive: true });
  await writeFileAtomically(cacheFile, JSON.stringify({ bootId, accelerator }));
  return accelerator;
}

/** Boots the probe's sector; false when that fails, or is not done in three seconds. */
export async function probeKvm(accelerator: Accelerator = "kvm"): Promise<boolean> {
  if (accelerator === "kvm") {
    try {
      await access("/dev/kvm", constants.R_OK | constants.W_OK);
    } catch {
      return false;
    }
  }
  const directory = await mkdtemp(path.join(tmpdir(), "cui-probe-"));
  try {
    const disk = path.join(directory, "sector.img");
    await writeFile(disk, probeSector());
    return await bootProbe(disk, accelerator);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function bootProbe(disk: string, accelerator: Accelerator): Promise<boolean> {
  try {
    await run({
      file: "qemu-system-x86_64",
      args: [
        ...[
          "-accel",
          accelerator,
          "-machine",
          "pc",
          "-m",
          "16",
          "-nodefaults",
          "-no-user-config",
          "-display",
          "none",
        ],
        ...["-drive", `file=${disk},format=raw,if=floppy,readonly=on`, "-boot", "a"],
        ...["-device", "isa-debug-exit,iobase=0xf4,iosize=1"],
      ],
      timeoutMs: PROBE_TIMEOUT_MS[accelerator],
      allowedExitCodes: [PROBE_EXIT_CODE],
    });
    return true;
  } catch {
    return false;
  }
}

function probeSector(): Uint8Array {
  const sector = Buffer.alloc(512);
  sector.write(PROBE_CODE, "hex");
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

async function readCache(file: string): Promise<z.infer<typeof cacheSchema> | undefined> {
  try {
    return cacheSchema.parse(JSON.parse(await readFile(file, "utf8")));
  } catch {
    return undefined; // not there, or not ours: the probe is cheap
  }
}
