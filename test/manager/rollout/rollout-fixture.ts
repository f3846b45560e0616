/** A site in a real bare repository with two appliances beside it, memory hosts and a real state: what rollouts are tested with. */
import { mkdirSync } from "node:fs";
import path from "node:path";
import type { Test } from "tap";
import type { Approval, ApprovedNetwork } from "../../../src/plan/approval.ts";
import { openStateStore, type StateStore } from "../../../src/manager/records/state-store.ts";
import {
  applyCommit,
  type ApplyCommitOptions,
  type ApplyResult,
} from "../../../src/manager/rollout/apply-commit.ts";
import type { Approvals } from "../../../src/manager/rollout/approval-policy.ts";
import type { NetworkReport } from "../../../src/manager/rollout/rollout-report.ts";
import { loadMacKey } from "../../../src/manager/change/sensitive.ts";
import type { ConnectHost } from "../../../src/manager/observe/observe-hosts.ts";
import type { CommitId } from "../../../src/git/commit-id.ts";
import { git, makeVersions, writeFiles, commitIdOf, gitAt, scratch } from "../../git/git-fixture.ts";
import { createMemoryHost, type MemoryHost } from "../memory-host.ts";
import { SILENT } from "../silent.ts";

export const UTILITY = `format: 1
hosts:
  - { name: h1, address: "unix:/h1" }
vlans: [100-110]
external: { vlan: 1000, subnet: 198.51.100.0/24, gateway: 198.51.100.1 }
addresses: [198.51.100.10-198.51.100.40]
`;

const vm = (memory: number): string => `format: 1\nmemory: ${memory}MiB\n`;

const DATA_DISK = "disks:\n  - { device: vdb, source: data.img }\n";

/** Web has a data disk from v1 on; v2 has another memory size, so it replaces v1; v3 has no data disk. */
const WEB = `CVL = "0.8";
Web extends VMAppliance {
  var title;
  vm = "Web.vm.yaml";
  datadisks = { device => "vdb", size => "16MiB" };
}
`;

const DNS = `CVL = "0.8";\nDNS extends VMAppliance {\n  var domain;\n  vm = "DNS.vm.yaml";\n}\n`;

export interface OfficeText {
  readonly web?: number;
  readonly dns?: number;
  readonly title?: string;
}

/** A network of both, at pinned versions. */
export function officeText({ web = 1, dns = 1, title = "hello" }: OfficeText = {}): string {
  return `CVL = "0.8";
import { url => "../repos/Web", cvl => "Web.cvl", version => "${web}" } Web;
import { url => "../repos/DNS", cvl => "DNS.cvl", version => "${dns}" } DNS;
Office extends VANAppliance {
  Web w;
  DNS d;
  w.title = "${title}";
}
`;
}

/** A network of one machine. */
export function shopText(version = 1): string {
  return `CVL = "0.8";
import { url => "../repos/DNS", cvl => "DNS.cvl", version => "${version}" } DNS;
Shop extends VANAppliance {
  DNS d;
}
`;
}

export const NOBODY: Approvals = { persons: [], notCounted: [] };

export interface SiteFixture {
  readonly folder: string;
  /** The bare repository, as post-receive sees it. */
  readonly bare: string;
  /** A clone to commit in. */
  readonly work: string;
  readonly stateDirectory: string;
  readonly cache: string;
  readonly store: StateStore;
  readonly host: MemoryHost;
  readonly connect: ConnectHost;
  /** Commits files in the clone (null removes one) and pushes main; resolves to the commit. */
  commit(files: Readonly<Record<string, string | null>>, message?: string): CommitId;
  /** Rolls a commit out, by default the tip of main. */
  apply(
    options?: Partial<ApplyCommitOptions> & { approval?: Approval; approvals?: Approvals },
  ): Promise<ApplyResult>;
  /** What was done since the last time. */
  calls(): string[];
}

/** Web v1 to v3 and DNS v1 to v2, as repositories of a folder. */
export function makeAppliances(folder: string): void {
  makeVersions(path.join(folder, "Web"), [
    { "Web.cvl": WEB, "Web.vm.yaml": `${vm(64)}${DATA_DISK}` },
    { "Web.vm.yaml": `${vm(96)}${DATA_DISK}` },
    { "Web.cvl": WEB.replace(/.*datadisks.*\n/, ""), "Web.vm.yaml": vm(96) },
  ]);
  makeVersions(path.join(folder, "DNS"), [
    { "DNS.cvl": DNS, "DNS.vm.yaml": vm(32) },
    { "DNS.vm.yaml": vm(48) },
  ]);
}

export async function createSite(
  t: Test,
  files: Readonly<Record<string, string>> = { "office.cvl": officeText() },
): Promise<SiteFixture> {
  const { folder } = scratch(t);
  makeAppliances(path.join(folder, "repos"));
  const bare = path.join(folder, "site.git");
  const work = path.join(folder, "work");
  mkdirSync(bare);
  git(bare, "init", "--quiet", "--bare", "--initial-branch=main", ".");
  git(folder, "clone", "--quiet", bare, work);
  git(work, "checkout", "--quiet", "-B", "main");
  const stateDirectory = path.join(folder, "state.git");
  const store = await openStateStore(stateDirectory);
  const calls: string[] = [];
  const host = createMemoryHost({ name: "h1", calls });
  const cache = path.join(folder, "cache");
  const site: SiteFixture = {
    ...{ folder, bare, work, stateDirectory, cache, store, host },
    connect: () => Promise.resolve(host),
    commit: (changes, message = "Change") => {
      const kept = Object.entries(changes).flatMap(([name, text]) => (text === null ? [] : [[name, text]]));
      writeFiles(work, Object.fromEntries(kept) as Record<string, string>);
      for (const [name, text] of Object.entries(changes)) if (text === null) git(work, "rm", "--quiet", name);
      git(work, "add", "--all");
      git(work, "commit", "--quiet", "--allow-empty", "--message", message);
      git(work, "push", "--quiet", "--force", "origin", "HEAD:main");
      return commitIdOf(work);
    },
    apply: ({ approval, approvals = NOBODY, ...options } = {}) => {
      const tip = commitIdOf(bare, "main");
      return applyCommit({
        ...{ git: gitAt(work), folder: "", commit: tip, tip, siteName: bare, refusePaths: () => false },
        ...{ store, connect: site.connect, cache, env: {}, progress: SILENT, waitMs: 120_000 },
        loadMacKey: () => loadMacKey(stateDirectory),
        findEvidence: () => Promise.resolve({ approval, approvals, source: "the test" }),
        limits: { readyMs: 2000, stopMs: 200, reloadMs: 100 },
        ...options,
      });
    },
    calls: () => calls.splice(0).filter((call) => !/^!?prepare/.test(call)),
  };
  site.commit({ "utility.yaml": UTILITY, ...files }, "Begin");
  return site;
}

/** The report of one root file. */
export function reportOf(result: ApplyResult, file: string): NetworkReport {
  const found = result.report?.networks.find((network) => network.file === file);
  if (found === undefined) throw new Error(`no report of ${file}`);
  return found;
}

/** An approval of exactly what a network's report planned. */
export function approvalOf(
  { base, head }: { base: string; head: string },
  networks: readonly ApprovedNetwork[],
): Approval {
  return { format: 1, base, head, networks };
}
