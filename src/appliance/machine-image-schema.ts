/** A machine's image as JSON, from a manager, a host or a record: every field checked and bounded. */
import * as z from "zod";
import {
  MAX_ARCHITECTURE_NAME,
  MAX_CPUS,
  MAX_KERNEL_COMMAND_LINE,
  MAX_LOCATION,
  MAX_PROGRAM_DISKS,
  MAX_SIZE_BYTES,
} from "./machine-limits.ts";
import type { Oid } from "../disk/object-store.ts";

export const deviceSchema = z
  .string()
  .regex(/^[a-z]+[0-9]*(:[0-9]+)?$/)
  .max(16);
export const sizeSchema = z.int().positive().max(MAX_SIZE_BYTES);

const SHA256 = /^[0-9a-f]{64}$/;
const digest = z.string().regex(SHA256);
const oid = z.custom<Oid>((value) => typeof value === "string" && SHA256.test(value), "expected a SHA-256");
const bus = z.enum(["virtio", "sata", "ide", "scsi"]);
const repositoryPath = z.string().max(MAX_LOCATION);
const printable = z.string().regex(/^[\x20-\x7e]*$/);

export const sourceSchema = z
  .object({
    url: z.string().max(MAX_LOCATION),
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
    arch: z
      .string()
      .regex(/^[a-z0-9_]+$/)
      .max(MAX_ARCHITECTURE_NAME),
    memoryBytes: sizeSchema,
    cpus: z.int().positive().max(MAX_CPUS),
    firmware: z.enum(["bios", "uefi"]),
    kernel: repositoryPath.optional(),
    initrd: repositoryPath.optional(),
    cmdline: printable.max(MAX_KERNEL_COMMAND_LINE).optional(),
    nic: z.enum(["virtio", "e1000e"]),
    disks: z
      .array(z.object({ device: deviceSchema, bus, source: repositoryPath.optional() }).readonly())
      .max(MAX_PROGRAM_DISKS)
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
    programDisks: z.array(programDisk).max(MAX_PROGRAM_DISKS).readonly(),
    kernel: bootFile.optional(),
    initrd: bootFile.optional(),
    digest,
  })
  .readonly();
