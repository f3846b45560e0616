/** The bumps of an appliance or a site: what is newer, in groups, and what each group makes of the files. */
import { createHash } from "node:crypto";
import { CollectiveError } from "../errors.ts";
import type { ActionClass } from "../plan/action-kinds.ts";
import { readBumpBase, type BumpBase } from "./base.ts";
import { loadClosure, type ClosureOptions } from "./closure.ts";
import { findUpdates, type Update } from "./find-updates.ts";
import { readOwnImports } from "./own-imports.ts";
import { refuseErrors, resolveUpdate, type ResolvedUpdate, type VersionChange } from "./resolve-update.ts";
import { versionDates } from "./version-dates.ts";
import type { Git } from "../git/git.ts";
import type { Mirrors } from "../appliance/mirrors.ts";
import { isLocal, isRefusedUrl, parseUrl } from "../git/url.ts";
import type { BlacklistEntry, Inventory } from "../site/inventory.ts";
import { checkedInventory, findSiteFolder, INVENTORY_FILE } from "../site/site.ts";
import { createEligibility, type HeldBack } from "./eligibility.ts";
import { groupUpdates } from "./groups.ts";
import { BUMP_FILE, checkedBumpRules, type BumpRules } from "./rules.ts";

export interface FindBumpsOptions {
  /** Called in the folder of an appliance or a site, or in one inside a site. */
  readonly git: Git;
  /** The commit that files, rules and policy are read from; undefined: the working tree. */
  readonly rev?: string | undefined;
  readonly mirrors: Mirrors;
  /** Quarantined versions, which are never proposed; nothing keeps such a list yet, so it is empty unless given. */
  readonly quarantine?: readonly BlacklistEntry[] | undefined;
  /** Milliseconds since 1970. */
  readonly now?: number | undefined;
  /** Make one bump of everything, whatever the groups. */
  readonly isOne?: boolean | undefined;
}

export interface FoundBump {
  readonly group: string;
  readonly updates: readonly Update[];
  /** Files of the base's folder with other content, by name. */
  readonly files: ReadonlyMap<string, string>;
  readonly changes: readonly VersionChange[];
  /** Of the versions proposed, 64 hex digits: the same proposal has the same. */
  readonly digest: string;
  /** When the newest of the versions proposed was made, milliseconds since 1970; not in the future. */
  readonly date: number;
}

export interface FoundBumps {
  readonly base: BumpBase;
  readonly rules: BumpRules;
  /** Undefined for an appliance. */
  readonly inventory: Inventory | undefined;
  /** The most severe class that is merged by itself; undefined: none. */
  readonly automerge: ActionClass | undefined;
  readonly bumps: readonly FoundBump[];
  /** Groups whose new versions do not go together, and why. */
  readonly problems: readonly { readonly group: string; readonly error: CollectiveError }[];
  readonly heldBack: readonly HeldBack[];
}

/**
 * Changes nothing but the mirrors.
 * @throws CollectiveError INVALID_INPUT when the base itself cannot be read, UTILITY_INVENTORY_INVALID.
 */
export async function findBumps(options: FindBumpsOptions): Promise<FoundBumps> {
  const { mirrors, rev, now = Date.now() } = options;
  const base = await readBumpBase({
    git: options.git.at(await bumpFolder(options.git.folder)),
    rev,
    also: [BUMP_FILE, INVENTORY_FILE],
  });
  const inventoryText = base.others.get(INVENTORY_FILE);
  const rules = checkedBumpRules(base.others.get(BUMP_FILE), { isSite: inventoryText !== undefined });
  const inventory = inventoryText === undefined ? undefined : checkedInventory(inventoryText);
  const eligibility = createEligibility({
    mirrors,
    rules,
    blacklist: inventory?.blacklist ?? [],
    quarantine: options.quarantine ?? [],
    now,
  });
  const load: ClosureOptions = {
    base,
    mirrors,
    isEligible: eligibility.isEligible,
    allow: inventory?.allow,
    refusePaths: isRemote(base.url),
  };
  const closure = await loadClosure(load, base);
  refuseErrors(closure.diagnostics, closure.textOf, "what is there now has errors", {
    hint: "`cui check` shows them; correct them first",
  });
  const own = [...base.cvlFiles].flatMap(([file, text]) => readOwnImports({ file, text, baseUrl: base.url }));
  const search = { closure, own, lock: base.lock, mirrors, isEligible: eligibility.isEligible };
  const updates = await findUpdates({ ...search, now, patienceMs: rules.patienceMs });
  const urls = closure.lock.imports.map(({ url }) => url);
  const groups =
    options.isOne === true && updates.length > 0
      ? [{ name: "all", updates }]
      : groupUpdates(updates, { rules, urls });
  const bumps: FoundBump[] = [];
  const problems: { group: string; error: CollectiveError }[] = [];
  for (const { name, updates: members } of groups) {
    try {
      const resolved = await resolveUpdate({ ...load, closure, own, updates: members });
      if (resolved.files.size > 0)
        bumps.push(await toBump({ mirrors, group: name, updates: members, resolved, now }));
    } catch (error) {
      if (!(error instanceof CollectiveError) || error.code !== "INVALID_INPUT") throw error;
      problems.push({ group: name, error });
    }
  }
  const automerge = inventory === undefined ? rules.automerge : inventory.approval.automerge;
  return { base, rules, inventory, automerge, bumps, problems, heldBack: eligibility.heldBack() };
}

/** The site around a folder, else the folder itself. */
async function bumpFolder(cwd: string): Promise<string> {
  return findSiteFolder(cwd).catch((error: unknown) => {
    if (error instanceof CollectiveError && error.code === "UTILITY_NO_SITE") return cwd;
    throw error;
  });
}

/** What comes over the network must not make us look at our own file system. */
export function isRemote(url: string): boolean {
  const parsed = parseUrl(url);
  return !isRefusedUrl(parsed) && !isLocal(parsed);
}

async function toBump({
  mirrors,
  group,
  updates,
  resolved,
  now,
}: {
  readonly now: number;
  readonly mirrors: Mirrors;
  readonly group: string;
  readonly updates: readonly Update[];
  readonly resolved: ResolvedUpdate;
}): Promise<FoundBump> {
  const dates = await Promise.all(
    updates.map(async ({ url, to }) => (await versionDates(await mirrors.get(url))).get(to) ?? 0),
  );
  const proposed = updates.map(({ url, pin, to }) => `${pin === "*" ? "*" : "pin"} ${to} ${url}`).sort();
  return {
    group,
    updates,
    files: resolved.files,
    changes: resolved.changes,
    digest: createHash("sha256").update(proposed.join("\n")).digest("hex"),
    // A date in the future would make our own commit one that is never old enough for others.
    date: Math.max(0, ...dates.filter((date) => date <= now)),
  };
}
