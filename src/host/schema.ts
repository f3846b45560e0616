/** What a host manager accepts from outside: every argument is checked and bounded here, at the edge. */
import { z } from "zod";
import { CollectiveError } from "../errors.ts";
import type { DataDiskSpec, Fence, MachineId, MachineSpec } from "./host.ts";
import type { MachineImage } from "../appliance/machine-image.ts";

const networkId = z.string().regex(/^[a-z0-9-]{1,36}$/);
/** "" is a root that is a single machine. */
const component = z
  .string()
  .max(160)
  .regex(/^([A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*)?$/);
const device = z
  .string()
  .regex(/^[a-z]+[0-9]*(:[0-9]+)?$/)
  .max(16);
const digest = z.string().regex(/^[0-9a-f]{64}$/);
const sizeBytes = z
  .int()
  .positive()
  .max(2 ** 46);
const tag = z.int().min(1).max(4094);
const bus = z.enum(["virtio", "sata", "ide", "scsi"]);
const timeoutMs = z
  .int()
  .nonnegative()
  .max(24 * 3_600_000);
const repositoryPath = z.string().max(4096);
const printable = z.string().regex(/^[\x20-\x7e]*$/);

const fence = z.object({ networkId, token: z.int().nonnegative() });
const machineId = z.object({ networkId, component });
const dataDisk = z.object({ device, sizeBytes });

const bootFile = z.object({ path: repositoryPath, oid: digest, sizeBytes });

const image = z.object({
  source: z.object({
    url: z.string().max(4096),
    version: z.int().positive().nullable(),
    commit: z
      .string()
      .regex(/^[0-9a-f]{40,64}$/)
      .nullable(),
  }),
  descriptionFile: repositoryPath,
  description: z.object({
    arch: z.string().regex(/^[a-z0-9_]{1,20}$/),
    memoryBytes: sizeBytes,
    cpus: z.int().positive().max(512),
    firmware: z.enum(["bios", "uefi"]),
    kernel: repositoryPath.optional(),
    initrd: repositoryPath.optional(),
    cmdline: printable.max(2000).optional(),
    nic: z.enum(["virtio", "e1000e"]),
    disks: z.array(z.object({ device, bus, source: repositoryPath.optional() })).max(64),
    ready: z.enum(["guest", "agent", "running"]),
    parameters: z.enum(["fw_cfg", "cloud-init"]),
  }),
  programDisks: z
    .array(z.object({ device, bus, indexPath: repositoryPath, indexDigest: digest, sizeBytes }))
    .max(64),
  kernel: bootFile.optional(),
  initrd: bootFile.optional(),
  digest,
});

const parameterLines = z
  .array(
    z
      .string()
      .max(65_536)
      .regex(/^[A-Za-z][A-Za-z0-9_.]*=[^\u0000-\u001f\u007f]*$/),
  )
  .max(10_000)
  .refine(
    (lines) => lines.reduce((sum, line) => sum + line.length, 0) <= 4_194_304,
    "more than 4 MiB of parameters",
  );

const spec = z.object({
  id: machineId,
  image,
  dataDisks: z.array(dataDisk).max(64),
  interfaces: z
    .array(
      z.object({
        name: z.string().regex(/^[A-Za-z][A-Za-z0-9_]{0,63}$/),
        mac: z.string().regex(/^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/),
        port: z.object({ tag: tag.nullable() }).nullable(),
      }),
    )
    .max(28),
  parameterLines,
  plan: printable.max(200),
});

/** The arguments of each call, in order. */
export const hostCallSchemas = {
  describe: z.tuple([]),
  inventory: z.tuple([]),
  prepareImage: z.tuple([fence, image]),
  prepareDataDisks: z.tuple([fence, machineId, z.array(dataDisk).max(64)]),
  startMachine: z.tuple([fence, spec]),
  awaitReady: z.tuple([machineId, timeoutMs]),
  sendParameters: z.tuple([fence, machineId, parameterLines, timeoutMs]),
  stopMachine: z.tuple([fence, machineId, timeoutMs]),
  moveToAttic: z.tuple([fence, machineId]),
  consolePath: z.tuple([machineId]),
} as const;

export type HostCall = keyof typeof hostCallSchemas;

/** The arguments as a host manager uses them. */
export interface HostArguments {
  describe: [];
  inventory: [];
  prepareImage: [Fence, MachineImage];
  prepareDataDisks: [Fence, MachineId, readonly DataDiskSpec[]];
  startMachine: [Fence, MachineSpec];
  awaitReady: [MachineId, number];
  sendParameters: [Fence, MachineId, readonly string[], number];
  stopMachine: [Fence, MachineId, number];
  moveToAttic: [Fence, MachineId];
  consolePath: [MachineId];
}

/**
 * Checks the arguments of one call. Values are not put into the message: parameter lines may be secret.
 * @throws CollectiveError HOST_REQUEST_INVALID
 */
export function parseArguments<Call extends HostCall>(call: Call, values: unknown): HostArguments[Call] {
  const result = hostCallSchemas[call].safeParse(values);
  if (!result.success) {
    const issue = result.error.issues[0];
    const place = issue === undefined ? "" : `${issue.path.join(".")}: ${issue.message}`;
    throw new CollectiveError("HOST_REQUEST_INVALID", `${call} was called with wrong arguments: ${place}`, {
      data: { call, path: issue?.path },
      hint: "manager and host may be of releases too far apart; cui --version on both tells",
    });
  }
  const [first, second] = result.data as [Fence?, (MachineId | MachineSpec)?];
  checkOneNetwork(first, second);
  return result.data as unknown as HostArguments[Call];
}

/** A fence of one network must not open another network's machine. */
function checkOneNetwork(fence: Fence | undefined, target: MachineId | MachineSpec | undefined): void {
  if (fence === undefined || target === undefined || !("token" in fence)) return;
  const id = "id" in target ? target.id : target;
  if (!("component" in id) || id.networkId === fence.networkId) return;
  throw new CollectiveError(
    "HOST_REQUEST_INVALID",
    `the fence is of network ${fence.networkId}, the machine of ${id.networkId}`,
  );
}
