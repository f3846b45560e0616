/** Descriptions of machines and networks as the state keeps them. */
import * as z from "zod";
import { machineImageSchema, sourceSchema } from "../appliance/machine-image-schema.ts";

const names = z.array(z.string()).readonly();

/** Of a sensitive value only that there is one. */
const element = z.union([
  z.string(),
  z.object({ kind: z.literal("unknown"), waitsFor: names, shape: z.string().exactOptional() }).readonly(),
  z.object({ kind: z.literal("unset"), waitsFor: names }).readonly(),
  z.object({ kind: z.literal("sensitive"), from: names, waitsFor: names }).readonly(),
]);
const elements = z.array(element).readonly();

const interfaceDescription = z
  .object({
    segment: z.string().nullable(),
    isGateway: z.boolean(),
    mac: elements,
    ip: elements,
    subnet: elements,
    netmask: elements,
    defaultroute: elements,
  })
  .readonly();

export const machineDescriptionSchema = z
  .object({
    path: z.string(),
    class: z.string(),
    source: sourceSchema,
    image: machineImageSchema,
    dataDisks: z.array(z.object({ device: z.string(), sizeBytes: z.number() }).readonly()).readonly(),
    interfaces: z.record(z.string(), interfaceDescription).readonly(),
    parameters: z.record(z.string(), elements).readonly(),
    origins: z.record(z.string(), z.object({ file: z.string(), line: z.int() }).readonly()).readonly(),
    requires: names,
    provides: names,
    startsAfter: z.array(z.object({ service: z.string(), anyOf: names }).readonly()).readonly(),
  })
  .readonly();

export const segmentDescriptionSchema = z
  .object({ id: z.string(), gateway: z.string().nullable() })
  .readonly();

export const networkComponentSchema = z
  .object({
    class: z.string(),
    source: sourceSchema,
    exports: z.string().nullable(),
    requires: names,
    provides: names,
  })
  .readonly();
