/** What is put as labels on a domain (libvirt metadata) and beside its disks, so that both tell what they belong to. */
import { createHash } from "node:crypto";
import * as z from "zod";
import type { MachineSpec } from "./host.ts";

const LABELS_FORMAT = 1;

const labelsSchema = z.object({
  format: z.literal(LABELS_FORMAT),
  networkId: z.string(),
  component: z.string(),
  version: z.int().nullable(),
  plan: z.string(),
  imageDigest: z.string(),
  /** Of the spec without parameters and plan: the same machine asked for again is told by it. */
  specDigest: z.string(),
  /** When it was started, ISO 8601; with the machine's name it names one run. */
  startedAt: z.string(),
  ready: z.enum(["guest", "agent", "running"]),
  memoryBytes: z.number(),
  interfaces: z.array(
    z.object({
      name: z.string(),
      mac: z.string(),
      port: z.object({ tag: z.int().nullable() }).nullable(),
      /** Absent in what the first releases wrote. */
      ip: z.string().optional(),
    }),
  ),
  dataDisks: z.array(z.object({ device: z.string(), sizeBytes: z.number() })),
});

export type MachineLabels = z.infer<typeof labelsSchema>;

export function labelsOf(spec: MachineSpec, startedAt: string): MachineLabels {
  return {
    format: LABELS_FORMAT,
    networkId: spec.id.networkId,
    component: spec.id.component,
    version: spec.image.source.version,
    plan: spec.plan,
    imageDigest: spec.image.digest,
    specDigest: digestOfSpec(spec),
    startedAt,
    ready: spec.image.description.ready,
    memoryBytes: spec.image.description.memoryBytes,
    interfaces: spec.interfaces.map(({ name, mac, port, ip }) => ({
      name,
      mac,
      port: port === null ? null : { tag: port.tag },
      ...(ip === undefined ? {} : { ip }),
    })),
    dataDisks: spec.dataDisks.map(({ device, sizeBytes }) => ({ device, sizeBytes })),
  };
}

/** Undefined when the text is no labels of a format this release knows. */
export function parseLabels(text: string): MachineLabels | undefined {
  try {
    return labelsSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function digestOfSpec({ image, dataDisks, interfaces }: MachineSpec): string {
  return createHash("sha256")
    .update(JSON.stringify([image.digest, dataDisks, interfaces.map(({ ip: _, ...rest }) => rest)]))
    .digest("hex");
}
