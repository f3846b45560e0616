/**
 * What stands in a lock file while somebody holds it: one line of JSON that says who. It is there to be read by people and by
 * those who wait; the kernel alone decides who holds the lock.
 *
 *     {"kind":"cui file lock","format":1,"pid":4711,"startTime":"81234","bootId":"0f3c…","purpose":"cui publish","since":"2026-…"}
 */
import { visible } from "./diagnostics.ts";
import { identifySelf, isAlive, type ProcessIdentity } from "./process-identity.ts";

export interface LockOwner extends ProcessIdentity {
  /** What is done under the lock. */
  readonly purpose: string;
  /** ISO 8601 */
  readonly since: string;
}

/** A record is never longer, and no more of a file is read. */
export const MAX_OWNER_BYTES = 1024;

const FORMAT = 1;
const KIND = '{"kind":"cui file lock"';

/** The record of this process. */
export function describeOwner(purpose: string): string {
  const owner: LockOwner = {
    ...identifySelf(),
    purpose: purpose.slice(0, 100),
    since: new Date().toISOString(),
  };
  return `${KIND},"format":${FORMAT},${JSON.stringify(owner).slice(1)}\n`;
}

/** Who the record names; undefined when it names nobody, or somebody who is dead. */
export function findOwner(record: string): LockOwner | undefined {
  const owner = parseOwner(record);
  return owner !== undefined && isAlive(owner) ? owner : undefined;
}

/** `process 4711 (cui publish, since 2026-…)` */
export function nameOwner(owner: LockOwner | undefined): string {
  if (owner === undefined) return "another process";
  return `process ${owner.pid} (${visible(owner.purpose)}, since ${visible(owner.since)})`;
}

/** Whether it may be written over: a record, whole or cut off by a crash, or nothing. */
export function isRecord(text: string): boolean {
  const written = text.replaceAll("\0", ""); // of a file whose content did not reach the disk
  return written.startsWith(KIND) || KIND.startsWith(written);
}

function parseOwner(record: string): LockOwner | undefined {
  let value: Partial<Record<keyof LockOwner | "format", unknown>> | null;
  try {
    value = JSON.parse(record) as typeof value;
  } catch {
    return undefined;
  }
  if (!isRecord(record) || value?.format !== FORMAT) return undefined;
  const { pid, startTime, bootId, purpose, since } = value;
  if (typeof pid !== "number" || !Number.isSafeInteger(pid) || pid < 1) return undefined;
  const isText = (part: unknown): part is string => typeof part === "string";
  if (!isText(startTime) || !isText(bootId) || !isText(purpose) || !isText(since)) return undefined;
  return { pid, startTime, bootId, purpose, since };
}
