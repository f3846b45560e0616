/** One question to every host of the inventory; who does not answer is named, not waited for. */
import { CollectiveError, messageOf } from "../../errors.ts";
import type { Host } from "../../host/host.ts";
import type { InventoryHost } from "../../site/inventory.ts";
import { startPatience, type ConnectHost } from "../observe/observe-hosts.ts";

export interface UnreachableHost {
  readonly host: string;
  readonly code: string;
  readonly message: string;
}

export interface Answers<Answer> {
  /** By host, in the order of the inventory. */
  readonly answers: ReadonlyMap<string, Answer>;
  readonly unreachable: readonly UnreachableHost[];
}

const LIMIT_MS = 60_000;

/** `limitMs` is for connecting and answering together: that of a look where somebody only looks, and long where something is done next. */
export async function askHosts<Answer>(
  hosts: readonly InventoryHost[],
  { connect, limitMs = LIMIT_MS }: { readonly connect: ConnectHost; readonly limitMs?: number | undefined },
  ask: (host: Host, entry: InventoryHost) => Promise<Answer>,
): Promise<Answers<Answer>> {
  const patience = startPatience(limitMs);
  const results = await Promise.allSettled(
    hosts.map((entry) => Promise.race([askOne(entry, connect, ask, patience.signal), patience.over])),
  );
  patience.end();
  const answers = new Map<string, Answer>();
  const unreachable: UnreachableHost[] = [];
  results.forEach((result, index) => {
    const host = hosts[index]?.name ?? "";
    if (result.status === "fulfilled") answers.set(host, result.value);
    else unreachable.push({ host, code: codeOf(result.reason), message: messageOf(result.reason) });
  });
  return { answers, unreachable };
}

/** Where nobody of those that were asked answers, nothing is known. @throws CollectiveError UTILITY_HOST_UNREACHABLE */
export function requireAnAnswer(
  asked: readonly InventoryHost[],
  unreachable: readonly UnreachableHost[],
): void {
  const silent = unreachable.filter(({ host }) => asked.some(({ name }) => name === host));
  if (silent.length === 0 || silent.length < asked.length) return;
  const list = silent.map(({ host, message }) => `host ${host}: ${message}`);
  throw new CollectiveError("UTILITY_HOST_UNREACHABLE", `no host can be used: ${list.join("; ")}`, {
    data: { hosts: silent.map(({ host }) => host) },
    hint: "bring the hosts back; nothing was changed",
  });
}

/** Connects, asks, and closes the connection, when `signal` gives up as well. @throws CollectiveError HOST_UNREACHABLE, when it takes too long, too */
export async function askOne<Answer>(
  entry: InventoryHost,
  connect: ConnectHost,
  ask: (host: Host, entry: InventoryHost) => Promise<Answer>,
  signal?: AbortSignal,
): Promise<Answer> {
  const host = await connect(entry.address, signal === undefined ? {} : { signal });
  const given = Promise.withResolvers<never>();
  given.promise.catch(() => undefined); // without a signal nobody waits for it
  const giveUp = (): void => {
    given.reject(signal?.reason);
  };
  signal?.addEventListener("abort", giveUp);
  try {
    signal?.throwIfAborted();
    return await withinLimit(Promise.race([ask(host, entry), given.promise]), entry.address, LIMIT_MS);
  } finally {
    signal?.removeEventListener("abort", giveUp);
    await host.close();
  }
}

/** @throws CollectiveError HOST_UNREACHABLE when the host does not answer in time */
export async function withinLimit<Answer>(
  answer: Promise<Answer>,
  address: string,
  limitMs: number,
): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const message = `the host manager at ${address} does not answer: nothing came in ${limitMs / 1000} s`;
      const hint = "is it stopped, or is its disk stuck? `cui host check` on that host says more";
      reject(new CollectiveError("HOST_UNREACHABLE", message, { data: { address }, hint }));
    }, limitMs);
  });
  answer.catch(() => undefined); // it may come to its end when nobody waits any more
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

function codeOf(error: unknown): string {
  return error instanceof CollectiveError ? error.code : "HOST_FAILED";
}
