/** The site's policy: what of it binds plans, and which versions are never started. */
import type { ComponentPath } from "../cvl/tree.ts";
import { canonicalJson } from "../plan/digest.ts";
import { machinesBelow } from "../network/boot-order.ts";
import type { NetworkDescription } from "../network/description.ts";
import { matchesRepository } from "../git/repository-identity.ts";
import type { BlacklistEntry, Inventory } from "./inventory.ts";

/** What of an inventory decides about plans, as it goes into the input digest: the same in CI and on the manager. */
export function policyOf({ allow, blacklist, approval }: Inventory): unknown {
  return { allow: allow ?? null, blacklist, approval };
}

/** The keys of utility.yaml under which `head` has another policy; it holds for the changes after the one that brings it. */
export function changedPolicy(base: Inventory, head: Inventory | undefined): string[] {
  if (head === undefined) return [];
  const parts = { "imports.allow": "allow", blacklist: "blacklist", approval: "approval" } as const;
  return Object.entries(parts).flatMap(([name, key]) =>
    canonicalJson(base[key]) === canonicalJson(head[key]) ? [] : [name],
  );
}

/** What a commit's inventory says of hosts and addresses, under the policy of another one: the base's. */
export function withPolicy(inventory: Inventory, { allow, blacklist, approval }: Inventory): Inventory {
  return { ...inventory, allow, blacklist, approval };
}

/** A version in use that the blacklist names. */
export interface Blacklisted {
  readonly component: string;
  readonly url: string;
  readonly version: number;
  readonly reason: string | undefined;
}

/** Every source of every machine and network, the image's included, that is on the list. */
export function findBlacklisted(
  description: NetworkDescription,
  blacklist: readonly BlacklistEntry[],
): Blacklisted[] {
  const used = [
    ...Object.values(description.machines).flatMap((machine) =>
      [machine.source, machine.image.source].map((source) => ({ component: machine.path, source })),
    ),
    ...Object.entries(description.networks).map(([component, network]) => ({
      component,
      source: network.source,
    })),
  ];
  const found = new Map<string, Blacklisted>();
  for (const { component, source } of used) {
    const entry = source.version === null ? undefined : findListed(blacklist, source.url, source.version);
    if (entry === undefined || source.version === null) continue;
    found.set(`${component}\0${source.url}\0${source.version}`, {
      component,
      url: source.url,
      version: source.version,
      reason: entry.reason,
    });
  }
  return [...found.values()];
}

/** For a plan: why a machine's wanted version must not start. A network's version concerns all its machines. */
export function blacklistFacts(
  description: NetworkDescription,
  blacklist: readonly BlacklistEntry[],
): ReadonlyMap<ComponentPath, string> {
  const facts = new Map<ComponentPath, string>();
  for (const entry of findBlacklisted(description, blacklist)) {
    const reason = `${entry.url} v${entry.version} is on the blacklist of utility.yaml${entry.reason === undefined ? "" : ` (${entry.reason})`}`;
    for (const path of machinesBelow(description, entry.component)) facts.set(path, reason);
  }
  return facts;
}

/** The first entry of a list that names a version of a repository. */
export function findListed(
  list: readonly BlacklistEntry[],
  url: string,
  version: number,
): BlacklistEntry | undefined {
  return list.find(
    (entry) =>
      matchesRepository(entry.url, url) &&
      (entry.versions === undefined ||
        entry.versions.some((range) => version >= range.first && version <= range.last)),
  );
}
