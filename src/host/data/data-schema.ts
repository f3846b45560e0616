/** What manager and host say to each other about data, checked and bounded. @see ../schema.ts */
import * as z from "zod";
import { deviceSchema } from "../../appliance/machine-image-schema.ts";
import { fenceSchema, machineIdSchema, networkIdSchema, siteSchema } from "./id-schema.ts";
import type { DataCalls } from "./data-calls.ts";

const entryId = z.string().regex(/^[0-9a-f]{12}$/);
const exportId = z.uuid();
const site = siteSchema.nullable();
const bytes = z.number().nonnegative();

/** The arguments of each call, in order. */
export const dataCallSchemas = {
  listAttic: z.tuple([]),
  listData: z.tuple([networkIdSchema.nullable()]),
  restoreFromAttic: z.tuple([
    fenceSchema,
    machineIdSchema,
    z.object({ entry: entryId, device: deviceSchema }).readonly(),
  ]),
  purgeAttic: z.tuple([site, z.array(entryId).max(10_000).readonly()]),
  openExport: z.tuple([
    site,
    z.union([
      z.object({ entry: entryId }).readonly(),
      z.object({ machine: machineIdSchema, device: deviceSchema }).readonly(),
    ]),
  ]),
  readExport: z.tuple([exportId, z.int().nonnegative().multipleOf(65_536)]),
  closeExport: z.tuple([exportId]),
} as const;

const machine = z.object({ networkId: z.string(), component: z.string() }).readonly();

const atticEntry = z
  .object({
    id: entryId,
    machine,
    device: z.string(),
    sizeBytes: bytes.nullable(),
    allocatedBytes: bytes,
    movedAt: z.string(),
    command: z.string().nullable(),
    site: z.string().nullable(),
    path: z.string(),
  })
  .readonly();

const dataDisk = z
  .object({
    id: machine,
    device: z.string(),
    path: z.string(),
    sizeBytes: bytes.nullable(),
    allocatedBytes: bytes,
    snapshots: z.int().nonnegative(),
    isInUse: z.boolean(),
    isExported: z.boolean(),
  })
  .readonly();

/** JSON-RPC has no undefined: a call without a result answers null. */
const nothing = z.null().transform(() => undefined);

/** What each call resolves to. */
export const dataResultSchemas = {
  listAttic: z.array(atticEntry).readonly(),
  listData: z
    .object({
      disks: z.array(dataDisk).readonly(),
      fileSystem: z.object({ totalBytes: bytes, freeBytes: bytes }).readonly(),
    })
    .readonly(),
  restoreFromAttic: z.object({ sizeBytes: bytes, putAside: entryId.nullable() }).readonly(),
  purgeAttic: z.array(entryId).readonly(),
  openExport: z
    .object({
      exportId,
      sizeBytes: z.int().nonnegative(),
      allocatedBytes: bytes,
      takenAt: z.string(),
      isRunning: z.boolean(),
    })
    .readonly(),
  readExport: z.object({ zeroBytes: z.int().nonnegative(), data: z.base64().max(1_500_000) }).readonly(),
  closeExport: nothing,
} satisfies { [Call in keyof DataCalls]: z.ZodType<Awaited<ReturnType<DataCalls[Call]>>> };
