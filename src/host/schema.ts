/** What manager and host say to each other: every argument and every answer is checked and bounded here, at the edge. */
import * as z from "zod";
import { CollectiveError } from "../errors.ts";
import {
  MAX_DATA_DISKS,
  MAX_INTERFACE_NAME,
  MAX_INTERFACES,
  MAX_PARAMETER_CHARACTERS,
  MAX_PARAMETER_LINE,
  MAX_PARAMETER_LINES,
} from "../appliance/machine-limits.ts";
import { PAUSE_REASONS, type Fence, type Host, type MachineId, type MachineSpec } from "./host.ts";

import { dataCallSchemas, dataResultSchemas } from "./data/data-schema.ts";
import { fenceSchema as fence, machineIdSchema as machineId } from "./data/id-schema.ts";
import { deviceSchema, machineImageSchema, sizeSchema } from "../appliance/machine-image-schema.ts";
import { issueText } from "../yaml-words.ts";

const tag = z.int().min(1).max(4094);
const timeoutMs = z
  .int()
  .nonnegative()
  .max(24 * 3_600_000);
const printable = z.string().regex(/^[\x20-\x7e]*$/);

const dataDisk = z.object({ device: deviceSchema, sizeBytes: sizeSchema }).readonly();
const dataDisks = z.array(dataDisk).max(MAX_DATA_DISKS).readonly();
/** The first managers did not say what is new. */
const dataDiskRequest = dataDisk.unwrap().extend({ isNew: z.boolean().optional() }).readonly();

const parameterLines = z
  .array(
    z
      .string()
      .max(MAX_PARAMETER_LINE)
      .regex(/^[A-Za-z][A-Za-z0-9_.]*=[^\u0000-\u001f\u007f]*$/),
  )
  .max(MAX_PARAMETER_LINES)
  .refine(
    (lines) => lines.reduce((sum, line) => sum + line.length, 0) <= MAX_PARAMETER_CHARACTERS,
    "more than 4 MiB of parameters",
  );

const spec = z.object({
  id: machineId,
  image: machineImageSchema,
  dataDisks,
  interfaces: z
    .array(
      z.object({
        name: z
          .string()
          .regex(/^[A-Za-z][A-Za-z0-9_]*$/)
          .max(MAX_INTERFACE_NAME),
        mac: z.string().regex(/^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/),
        port: z.object({ tag: tag.nullable() }).nullable(),
        ip: z.ipv4().optional(),
      }),
    )
    .max(MAX_INTERFACES),
  parameterLines,
  plan: printable.max(200),
});

/** The arguments of each call, in order. */
export const hostCallSchemas = {
  describe: z.tuple([]),
  inventory: z.tuple([]),
  verifyImages: z.tuple([]),
  prepareImage: z.tuple([fence, machineImageSchema]),
  prepareDataDisks: z.tuple([fence, machineId, z.array(dataDiskRequest).max(MAX_DATA_DISKS).readonly()]),
  startMachine: z.tuple([fence, spec]),
  awaitReady: z.tuple([machineId, timeoutMs]),
  sendParameters: z.tuple([fence, machineId, parameterLines, timeoutMs]),
  resumeMachine: z.tuple([fence, machineId]),
  stopMachine: z.tuple([fence, machineId, timeoutMs]),
  moveToAttic: z.tuple([fence, machineId]),
  consolePath: z.tuple([machineId]),
  ...dataCallSchemas,
} as const;

export type HostCall = keyof typeof hostCallSchemas;

/** The arguments as a host manager uses them. */
export type HostArguments = { [Call in HostCall]: z.infer<(typeof hostCallSchemas)[Call]> };

/**
 * Checks the arguments of one call. Values are not put into the message: parameter lines may be secret.
 * @throws CollectiveError HOST_REQUEST_INVALID
 */
function parseArguments<Call extends HostCall>(call: Call, values: unknown): HostArguments[Call] {
  const result = hostCallSchemas[call].safeParse(values);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw new CollectiveError(
      "HOST_REQUEST_INVALID",
      `${call} was called with wrong arguments: ${issueText(issue)}`,
      {
        data: { call, path: issue?.path },
        hint: "manager and host may be of releases too far apart; cui --version on both tells",
      },
    );
  }
  const [first, second] = result.data as [unknown?, (MachineId | MachineSpec)?];
  checkOneNetwork(first, second);
  return result.data as HostArguments[Call];
}

/** A fence of one network must not open another network's machine. */
function checkOneNetwork(fence: unknown, target: MachineId | MachineSpec | undefined): void {
  if (!isFence(fence) || target === undefined) return;
  const id = "id" in target ? target.id : target;
  if (!("component" in id) || id.networkId === fence.networkId) return;
  throw new CollectiveError(
    "HOST_REQUEST_INVALID",
    `the fence is of network ${fence.networkId}, the machine of ${id.networkId}`,
  );
}

function isFence(value: unknown): value is Fence {
  return typeof value === "object" && value !== null && "token" in value;
}

const interfaceReport = z
  .object({
    name: z.string(),
    mac: z.string(),
    port: z.object({ tag: z.int().nullable() }).readonly().nullable(),
    ip: z.string().optional(),
  })
  .readonly();

const machineReport = z
  .object({
    id: machineId,
    version: z.int().nullable(),
    imageDigest: z.string(),
    plan: z.string(),
    state: z.enum(["starting", "ready", "failed", "stopping", "stopped", "paused"]),
    // A later release may know more reasons.
    pausedBecause: z.enum(PAUSE_REASONS).catch("other").optional(),
    status: z.string(),
    startedAt: z.string().nullable(),
    memoryBytes: z.number(),
    interfaces: z.array(interfaceReport).readonly(),
    dataDisks: z.array(z.object({ device: z.string(), sizeBytes: z.number() }).readonly()).readonly(),
  })
  .readonly();

const dataDiskReport = z
  .object({
    id: machineId,
    device: z.string(),
    sizeBytes: z.number(),
    allocatedBytes: z.number(),
    inAttic: z.boolean(),
    problem: z.string().optional(),
  })
  .readonly();

/** JSON-RPC has no undefined: a call without a result answers null. */
const nothing = z.null().transform(() => undefined);

/** What each call resolves to. */
const hostResultSchemas = {
  describe: z
    .object({
      protocol: z.int(),
      name: z.string(),
      arch: z.string(),
      accelerator: z.enum(["kvm", "tcg"]),
      cpus: z.number(),
      memoryBytes: z.number(),
      bridge: z.string(),
      disk: z.object({ totalBytes: z.number(), freeBytes: z.number() }).readonly().optional(),
      lacks: z.array(z.string()).readonly().optional(),
    })
    .readonly(),
  inventory: z
    .object({
      machines: z.array(machineReport).readonly(),
      dataDisks: z.array(dataDiskReport).readonly(),
      images: z.array(z.string()).readonly(),
    })
    .readonly(),
  verifyImages: z
    .array(
      z
        .object({
          file: z.string(),
          state: z.enum(["whole", "repaired", "removed", "damaged"]),
          problem: z.string(),
        })
        .readonly(),
    )
    .readonly(),
  prepareImage: z.object({ fetchedBytes: z.number() }).readonly(),
  prepareDataDisks: nothing,
  startMachine: nothing,
  resumeMachine: nothing,
  awaitReady: z
    .object({ state: z.enum(["ready", "failed"]), status: z.string(), bootMs: z.number() })
    .readonly(),
  sendParameters: z.object({ reloaded: z.boolean() }).readonly(),
  stopMachine: z.object({ forced: z.boolean() }).readonly(),
  moveToAttic: nothing,
  consolePath: z.string(),
  ...dataResultSchemas,
} satisfies { [Call in HostCall]: z.ZodType<Awaited<ReturnType<Host[Call]>>> };

/** Checks what a host answered. @throws CollectiveError HOST_ANSWER_INVALID. */
export function parseResult(call: HostCall, value: unknown): unknown {
  const result = hostResultSchemas[call].safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new CollectiveError(
    "HOST_ANSWER_INVALID",
    `the host answered ${call} with something else than expected: ${issueText(issue)}`,
    {
      data: { call, path: issue?.path },
      hint: "manager and host may be of releases too far apart; cui --version on both tells",
    },
  );
}

/** A host all of whose calls go through one function: over a wire, or past a check. */
export function hostOf(
  call: (name: HostCall, values: readonly unknown[]) => Promise<unknown>,
  close: () => Promise<void>,
): Host {
  const names = Object.keys(hostCallSchemas) as HostCall[];
  const calls = names.map((name) => [name, (...values: unknown[]) => call(name, values)] as const);
  return { ...Object.fromEntries(calls), close } as unknown as Host;
}

/** Calls a host by the name of the call, which checks the arguments itself. */
export async function callHost(host: Host, name: HostCall, values: readonly unknown[]): Promise<unknown> {
  const calls = host as unknown as Readonly<
    Record<HostCall, (...values: readonly unknown[]) => Promise<unknown>>
  >;
  return calls[name](...values);
}

/** The host with every argument checked, whoever calls and over whatever wire. */
export function withCheckedArguments(host: Host): Host {
  return hostOf(
    async (name, values) => callHost(host, name, parseArguments(name, values)),
    () => host.close(),
  );
}
