/**
 * One manager at a time works on a network: it holds a lease whose token grows with every holder. Hosts remember the highest
 * token and refuse a lower one, the state is written only by the holder, so a manager that was thought dead does no harm.
 */
import { randomUUID } from "node:crypto";
import { hostname, userInfo } from "node:os";
import * as z from "zod";
import { CollectiveError } from "../../errors.ts";
import { identifySelf, isAlive } from "../../process-identity.ts";
import { textIn, type StateSnapshot } from "./state-snapshot.ts";
import type { StateChange, StateStore } from "./state-store.ts";
import { leaseFile, networkFile, parseRecord, STATE_FORMAT, toFile } from "./state.ts";

const holderSchema = z
  .object({
    pid: z.int(),
    startTime: z.string(),
    bootId: z.string(),
    host: z.string(),
    user: z.string(),
    command: z.string(),
    /** ISO 8601 */
    since: z.string(),
    /** Two that ask in one process and one millisecond would otherwise write the same commit, and both would have it. */
    nonce: z.string().exactOptional(),
  })
  .readonly();

const leaseSchema = z
  .object({
    /** Absent in what the first releases wrote. */
    format: z.literal(STATE_FORMAT).exactOptional(),
    token: z.int().nonnegative(),
    holder: holderSchema.nullable(),
  })
  .readonly();

export type LeaseHolder = z.infer<typeof holderSchema>;
type LeaseRecord = z.infer<typeof leaseSchema>;

export interface Lease {
  readonly networkId: string;
  readonly token: number;
  /** What it is held for. */
  readonly command: string;
  /**
   * Commits a change to the state as the holder.
   * @throws CollectiveError UTILITY_LEASE_LOST when another manager took the lease over.
   */
  commit(change: (snapshot: StateSnapshot) => StateChange | undefined): Promise<StateSnapshot>;
  /** Releases the lease; one that was lost, or released before, is left alone. */
  release(): Promise<void>;
}

export interface AcquireOptions {
  readonly store: StateStore;
  readonly networkId: string;
  /** `start acme.cvl`: shown to whom is refused. */
  readonly command: string;
  /** Take the lease of a holder on another machine, of whom nothing can be known from here. */
  readonly takeOver?: boolean;
}

/** @throws CollectiveError UTILITY_NETWORK_BUSY with who holds it. */
export async function acquireLease(options: AcquireOptions): Promise<Lease> {
  const { store, networkId } = options;
  const self = describeSelf(options.command);
  const before = await store.read();
  const held = readLease(before, networkId)?.holder ?? null;
  const isStale = held !== null && (options.takeOver === true || !mayBeAlive(held, self.host));
  let token = 0;
  await store.update((snapshot) => {
    const lease = readLease(snapshot, networkId);
    const holder = lease?.holder ?? null;
    if (holder !== null && !(isStale && isSameHolder(holder, held))) throw busy(networkId, holder);
    token = (lease?.token ?? 0) + 1;
    return write(networkId, { token, holder: self }, `${networkId}: ${options.command} takes lease ${token}`);
  });
  return {
    networkId,
    token,
    command: self.command,
    commit: (change) =>
      store.update((snapshot) => {
        requireHeld(snapshot, networkId, token);
        return change(snapshot);
      }),
    release: async () => {
      await store.update((snapshot) => {
        const held = readLease(snapshot, networkId);
        if (held?.token !== token || held.holder === null) return undefined;
        const message = `${networkId}: lease ${token} ends`;
        // Of a network that never came to be, nothing is kept; hosts remember the tokens of one that was removed.
        if (token === 1 && textIn(snapshot, networkFile(networkId)) === undefined)
          return { message, files: new Map([[leaseFile(networkId), null]]) };
        return write(networkId, { token, holder: null }, message);
      });
    },
  };
}

/** Who works on a network now; null when nobody does, or who did has died on this machine. */
export function leaseHolder(snapshot: StateSnapshot, networkId: string): LeaseHolder | null {
  const holder = readLease(snapshot, networkId)?.holder ?? null;
  return holder !== null && mayBeAlive(holder, hostname()) ? holder : null;
}

function readLease(snapshot: StateSnapshot, networkId: string): LeaseRecord | undefined {
  const file = leaseFile(networkId);
  const text = textIn(snapshot, file);
  return text === undefined ? undefined : parseRecord({ schema: leaseSchema, text, file });
}

function write(networkId: string, lease: LeaseRecord, message: string): StateChange {
  return { message, files: new Map([[leaseFile(networkId), toFile({ format: STATE_FORMAT, ...lease })]]) };
}

function requireHeld(snapshot: StateSnapshot, networkId: string, token: number): void {
  const lease = readLease(snapshot, networkId);
  if (lease?.token === token && lease.holder !== null) return;
  throw new CollectiveError(
    "UTILITY_LEASE_LOST",
    `another manager took over network ${networkId} (its token is ${lease?.token ?? 0}, ours ${token})`,
    { hint: "run the command again; it goes on from what is there" },
  );
}

function busy(networkId: string, holder: LeaseHolder): CollectiveError {
  return new CollectiveError(
    "UTILITY_NETWORK_BUSY",
    `\`cui ${holder.command}\` works on network ${networkId} since ${holder.since} (process ${holder.pid} of ${holder.user} on ${holder.host})`,
    {
      data: { holder },
      hint: "wait until it has ended; --take-over takes it from a manager on another machine that is certainly dead",
    },
  );
}

function describeSelf(command: string): LeaseHolder {
  return {
    ...identifySelf(),
    host: hostname(),
    user: userName(),
    command: command.slice(0, 200),
    since: new Date().toISOString(),
    nonce: randomUUID(),
  };
}

/** A holder on another machine cannot be seen from here and counts as alive. */
function mayBeAlive(holder: LeaseHolder, here: string): boolean {
  return holder.host !== here || isAlive(holder);
}

function isSameHolder(a: LeaseHolder, b: LeaseHolder | null): boolean {
  return (
    b !== null &&
    a.pid === b.pid &&
    a.startTime === b.startTime &&
    a.bootId === b.bootId &&
    a.since === b.since &&
    a.nonce === b.nonce
  );
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? "");
  }
}
