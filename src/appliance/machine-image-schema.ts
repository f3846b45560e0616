/** A machine's image as JSON, from a manager, a host or a record: every field checked and bounded. */
import { z } from "zod";
import type { Oid } from "../disk/object-store.ts";

export const deviceSchema = z
  .string()
  .regex(/^[a-z]+[0-9]*(:[0-9]+)?$/)
  .max(16);
export const sizeSchema = z
  .int()
  .positive()
  .max(2 ** 46);

const SHA256 = /^[0-9a-f]{64}$/;
const digest = z.string().regex(SHA256);
const oid = z.custom<Oid>((value) => typeof value === "string" && SHA256.test(value), "expected a SHA-256");
const bus = z.enum(["virtio", "sata", "ide", "scsi"]);
const repositoryPath = z.string().max(4096);
const printable = z.string().regex(/^[\x20-\x7e]*$/);

export const sourceSchema = z
  .object({
    url: z.string().max(4096),
    version: z.int().positive().nullable(),
    commit: z
      .string()
      .regex(/^[0-9a-f]{40,64}$/)
      .nullable(),
  })
  .readonly();

const bootFile = z.object({ path: repositoryPath, oid, sizeBytes: sizeSchema }).readonly();

const description = z
  .object({
    arch: z.string().regex(/^[a-z0-9_]{1,20}$/),
    memoryBytes: sizeSchema,
    cpus: z.int().positive().max(512),
    firmware: z.enum(["bios", "uefi"]),
    kernel: repositoryPath.optional(),
    initrd: repositoryPath.optional(),
    cmdline: printable.max(2000).optional(),
    nic: z.enum(["virtio", "e1000e"]),
    disks: z
      .array(z.object({ device: deviceSchema, bus, source: repositoryPath.optional() }).readonly())
      .max(64)
      .readonly(),
    ready: z.enum(["guest", "agent", "running"]),
    parameters: z.enum(["fw_cfg", "cloud-init"]),
  })
  .readonly();

const programDisk = z
  .object({
    device: deviceSchema,
    bus,
    indexPath: repositoryPath,
    indexDigest: digest,
    sizeBytes: sizeSchema,
  })
  .readonly();

export const machineImageSchema = z
  .object({
    source: sourceSchema,
    descriptionFile: repositoryPath,
    description,
    programDisks: z.array(programDisk).max(64).readonly(),
    kernel: bootFile.optional(),
    initrd: bootFile.optional(),
    digest,
  })
  .readonly();
