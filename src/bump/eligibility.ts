/** Which versions may be proposed: not blacklisted, not quarantined, not ignored, old enough. Withdrawn ones are left out before. */
import type { IsEligible } from "../appliance/loaded-appliance.ts";
import type { Mirrors } from "../appliance/mirrors.ts";
import { versionDates } from "./version-dates.ts";
import type { BlacklistEntry } from "../site/inventory.ts";
import { findListed } from "../site/policy.ts";
import type { BumpRules } from "./rules.ts";

export interface EligibilityOptions {
  readonly mirrors: Mirrors;
  readonly rules: BumpRules;
  readonly blacklist: readonly BlacklistEntry[];
  /** Versions that did not become ready where they ran: whoever knows such a list hands it over. */
  readonly quarantine: readonly BlacklistEntry[];
  readonly now: number;
}

/** A version that was passed over, and why. */
export interface HeldBack {
  readonly url: string;
  readonly version: number;
  readonly why: string;
}

export interface Eligibility {
  readonly isEligible: IsEligible;
  /** Every version that was asked for and refused so far, by URL and version. */
  heldBack(): readonly HeldBack[];
}

export function createEligibility(options: EligibilityOptions): Eligibility {
  const { mirrors, rules, blacklist, quarantine, now } = options;
  const held = new Map<string, HeldBack>();
  const reasonFor = async (url: string, version: number): Promise<string | undefined> => {
    const lists = { "on the blacklist": blacklist, quarantined: quarantine, ignored: rules.ignore };
    for (const [what, list] of Object.entries(lists)) {
      const entry = findListed(list, url, version);
      if (entry !== undefined) return entry.reason === undefined ? what : `${what}: ${entry.reason}`;
    }
    if (rules.minimumAgeMs === 0) return undefined;
    const made = (await versionDates(await mirrors.get(url))).get(version);
    // Without a date, or with one in the future, nobody can say that it is old enough.
    if (made !== undefined && made + rules.minimumAgeMs <= now) return undefined;
    const until =
      made === undefined ? "" : ` until ${new Date(made + rules.minimumAgeMs).toISOString().slice(0, 16)}Z`;
    return `too young${until}`;
  };
  return {
    isEligible: async ({ url, version }) => {
      const why = await reasonFor(url, version);
      if (why !== undefined) held.set(`${url} ${version}`, { url, version, why });
      return why === undefined;
    },
    heldBack: () =>
      [...held.values()].sort((a, b) => (a.url === b.url ? a.version - b.version : a.url < b.url ? -1 : 1)),
  };
}
