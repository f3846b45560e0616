/** `cui attic purge`: entries that were shown are deleted for good, and nothing else. */
import { CollectiveError, messageOf } from "../../errors.ts";
import type { Inventory, InventoryHost } from "../../site/inventory.ts";
import type { ConnectHost } from "../observe/observe-hosts.ts";
import { askOne } from "./ask-hosts.ts";
import type { FoundEntry } from "./list-attic.ts";

export interface PurgeChoice {
  /** Entries that went to the attic before. */
  readonly before?: Date | undefined;
  readonly host?: string | undefined;
}

/** Of this site's entries. */
export function choosePurge(
  entries: readonly FoundEntry[],
  { before, host }: PurgeChoice,
): readonly FoundEntry[] {
  return entries.filter(
    (entry) =>
      !entry.isOtherSite &&
      (host === undefined || entry.host === host) &&
      // A time that cannot be read is not known to be old.
      (before === undefined || Date.parse(entry.movedAt) < before.getTime()),
  );
}

export interface PurgeResult {
  readonly purged: readonly FoundEntry[];
  /** They were restored or purged by somebody else meanwhile. */
  readonly gone: readonly FoundEntry[];
}

/** @throws CollectiveError UTILITY_INCOMPLETE when a host did not do it; the others have */
export async function purgeAttic(options: {
  readonly inventory: Inventory;
  readonly connect: ConnectHost;
  readonly entries: readonly FoundEntry[];
}): Promise<PurgeResult> {
  const { inventory, connect, entries } = options;
  const hosts = inventory.hosts.filter(({ name }) => entries.some(({ host }) => host === name));
  const results = await Promise.allSettled(
    hosts.map((host) => purgeOn({ host, connect, entries, site: inventory.site ?? null })),
  );
  const purged = results.flatMap((result) => (result.status === "fulfilled" ? result.value : []));
  const failed = results.flatMap((result, index) =>
    result.status === "rejected" ? [{ host: hosts[index]?.name ?? "", error: result.reason as unknown }] : [],
  );
  if (failed.length > 0) throw incomplete(failed, purged);
  return { purged, gone: entries.filter((entry) => !purged.includes(entry)) };
}

async function purgeOn(options: {
  readonly host: InventoryHost;
  readonly connect: ConnectHost;
  readonly entries: readonly FoundEntry[];
  readonly site: string | null;
}): Promise<readonly FoundEntry[]> {
  const mine = options.entries.filter(({ host }) => host === options.host.name);
  const ids = mine.map(({ id }) => id);
  const purged = await askOne(options.host, options.connect, (host) => host.purgeAttic(options.site, ids));
  return mine.filter(({ id }) => purged.includes(id));
}

function incomplete(
  failed: readonly { readonly host: string; readonly error: unknown }[],
  purged: readonly FoundEntry[],
): CollectiveError {
  const [first] = failed;
  const lines = failed.map(({ host, error }) => `\n  ${host}: ${messageOf(error)}`);
  return new CollectiveError(
    "UTILITY_INCOMPLETE",
    `not all could be purged; ${purged.length} ${purged.length === 1 ? "entry is" : "entries are"} gone${lines.join("")}`,
    {
      cause: first?.error,
      data: { purged: purged.map(({ id }) => id), failed: failed.map(({ host }) => host) },
      hint: "`cui attic list` shows what is left; the command can be run again",
    },
  );
}
