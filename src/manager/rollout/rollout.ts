/**
 * Carries out a commit of a site: every root network of it is decided again from git, compared with what was approved and who
 * approved it, and only then changed. A network that is refused or fails does not hold up the others.
 */
import pLimit from "p-limit";
import { CollectiveError } from "../../errors.ts";
import { objections, type Approval } from "../../plan/approval.ts";
import type { Plan } from "../../plan/plan.ts";
import type { ShareObjects } from "../../appliance/share-objects.ts";
import type { StateSnapshot } from "../records/state-snapshot.ts";
import type { StateStore } from "../records/state-store.ts";
import type { Appliance } from "../change/root-appliance.ts";
import { shortage, type Approvals } from "./approval-policy.ts";
import { changeNetwork } from "../apply/change-network.ts";
import type { Inventory } from "../../site/inventory.ts";
import { loadSiteAppliance } from "../change/load-site-appliance.ts";
import { knownNetworkId } from "../records/known-network-id.ts";
import type { Limits } from "../change/operation.ts";
import { withPolicy } from "../../site/policy.ts";
import { prefixed, type Progress } from "../change/progress.ts";
import { summarizeRollout, type NetworkReport, type RolloutReport } from "./rollout-report.ts";
import { readRootAt, type SiteAtCommit, type SitePlace, type SiteRoot } from "../../site/site-at-commit.ts";
import { readableNetworks, readNetwork } from "../records/state.ts";
import type { ConnectHost } from "../observe/observe-hosts.ts";

export interface RolloutOptions extends SitePlace {
  /** As the commit has it: hosts, tags and addresses are taken from it. */
  readonly site: SiteAtCommit;
  /** In force: allow, blacklist and approval rules. */
  readonly policy: Inventory;
  /** What the approved preview was computed under, for its input digest alone; default `policy`. */
  readonly previewPolicy?: Inventory | undefined;
  readonly approval?: Approval | undefined;
  readonly approvals: Approvals;
  /** How the state calls the site: its URL or folder. */
  readonly siteName: string;
  /** Refuse imports of paths of this machine. */
  readonly refusePaths: boolean;
  readonly store: StateStore;
  readonly connect: ConnectHost;
  readonly shareObjects?: ShareObjects | undefined;
  readonly loadMacKey: () => Promise<Uint8Array>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly progress: Progress;
  readonly limits?: Partial<Limits> | undefined;
  /** Networks at a time. */
  readonly parallel?: number | undefined;
  /** Folder of the mirrors. */
  readonly cache?: string | undefined;
}

const PARALLEL_NETWORKS = 2;

/** Never rejects for a network: its report says. */
export async function rolloutSite(options: RolloutOptions): Promise<RolloutReport> {
  const { site, commit } = options;
  const snapshot = await options.store.read();
  const limit = pLimit(options.parallel ?? PARALLEL_NETWORKS);
  const named = site.roots.map((root) => ({
    root,
    networkId: knownNetworkId(site.inventory, snapshot, root),
  }));
  const reports = await Promise.all(
    named.map(({ root, networkId }) => limit(() => rolloutNetwork(options, { root, networkId, snapshot }))),
  );
  const gone = goneNetworks(snapshot, new Set(named.map(({ networkId }) => networkId)));
  return summarizeRollout(commit, [...reports.flatMap((report) => report ?? []), ...gone]);
}

interface Target {
  readonly root: SiteRoot;
  readonly networkId: string;
  readonly snapshot: StateSnapshot;
}

/** Undefined for a file that is no root. */
async function rolloutNetwork(options: RolloutOptions, target: Target): Promise<NetworkReport | undefined> {
  const { root, networkId } = target;
  const { file, object } = root;
  const startedAt = performance.now();
  const seen: { plan?: Plan } = {};
  const report = (rest: Partial<NetworkReport> & Pick<NetworkReport, "outcome">): NetworkReport => ({
    ...{ file, object, networkId, reasons: [], warnings: [], isWorthRetrying: false, plan: seen.plan },
    totalMs: performance.now() - startedAt,
    ...rest,
  });
  const kind = whatToDo(options, target);
  if (kind === "leave" && !root.isListed && readNetwork(target.snapshot, networkId) === undefined)
    return undefined;
  if (kind === "leave") return report({ outcome: "unchanged", reasons: [LEFT(file)] });
  try {
    const { store, connect, shareObjects, loadMacKey, env, limits } = options;
    const result = await changeNetwork({
      ...{ store, connect, shareObjects, loadMacKey, env },
      kind,
      networkId,
      site: options.siteName,
      file,
      inventory: withPolicy(options.site.inventory, options.policy),
      loadAppliance: () => loadRoot(options, root),
      progress: prefixed(options.progress, file),
      onDecided: (plan) => {
        seen.plan = plan;
        return judge(options, { root, plan });
      },
      ...(limits === undefined ? {} : { limits }),
    });
    return report({
      outcome: hasWork(result.plan) ? "done" : "unchanged",
      plan: result.plan,
      warnings: [...result.plan.warnings.map(({ message }) => message), ...result.warnings],
    });
  } catch (error) {
    if (!root.isListed && isLibrary(error)) return undefined;
    return report(failureOf(error));
  }
}

const LEFT = (file: string): string => `it does not run; \`cui start ${file}\` starts it`;

/** What was stopped on purpose, as a whole, stays so; what was never started is started when the site says so. */
function whatToDo(options: RolloutOptions, { networkId, snapshot }: Target): "start" | "update" | "leave" {
  const state = readNetwork(snapshot, networkId);
  if (state === undefined) return options.site.inventory.rollout.startsNew ? "start" : "leave";
  return [...state.machines.values()].some(({ phase }) => phase !== "stopped") ? "update" : "leave";
}

async function loadRoot(options: RolloutOptions, root: SiteRoot): Promise<Appliance> {
  const { policy, cache } = options;
  return loadSiteAppliance({
    ...(await readRootAt(options, root)),
    git: options.git,
    cwd: options.git.folder,
    file: root.file,
    object: root.object,
    inventory: withPolicy(options.site.inventory, policy),
    policy: options.previewPolicy ?? policy,
    refusePaths: options.refusePaths,
    versions: "locked",
    writeLock: false,
    ...(cache === undefined ? {} : { cache }),
  });
}

/** @throws CollectiveError ROLLOUT_REFUSED before anything was changed, with every reason. */
// eslint-disable-next-line @typescript-eslint/require-await -- what is thrown must be a rejection
async function judge(options: RolloutOptions, { root, plan }: { root: SiteRoot; plan: Plan }): Promise<void> {
  if (!hasWork(plan)) return;
  const reasons = [
    ...approvalReasons(options.approval, { root, plan }),
    ...[shortage(options.policy.approval, plan, options.approvals) ?? []].flat(),
  ];
  if (reasons.length === 0) return;
  throw new CollectiveError("ROLLOUT_REFUSED", reasons.join("; "), {
    data: { reasons },
    hint: "the plan shown is the real one: preview it again with a new pull request, and merge that",
  });
}

function approvalReasons(
  approval: Approval | undefined,
  { root, plan }: { root: SiteRoot; plan: Plan },
): readonly string[] {
  if (approval === undefined) return [];
  const approved = approval.networks.find(({ file, object }) => file === root.file && object === root.object);
  return approved === undefined
    ? ["what was approved does not mention it, and something would happen to it"]
    : objections(plan, approved);
}

/** Whether a plan does more than to note versions. */
function hasWork({ actions }: Plan): boolean {
  return actions.some(({ kind }) => kind !== "note" && kind !== "await");
}

const REFUSING: ReadonlySet<string> = new Set([
  "ROLLOUT_REFUSED",
  "UTILITY_REFUSED",
  "UTILITY_DISK_SHRINK",
  "REPOSITORY_FILE_REFUSED",
  "REPOSITORY_FILE_TOO_LARGE",
  "REPOSITORY_FILE_MISSING",
]);

const PASSING: ReadonlySet<string> = new Set([
  "UTILITY_HOST_UNREACHABLE",
  "UTILITY_NETWORK_BUSY",
  "UTILITY_LEASE_LOST",
  "STATE_CONFLICT",
  "HOST_UNREACHABLE",
  "REPOSITORY_UNREACHABLE",
  "IMPORT_UNREACHABLE",
]);

function failureOf(
  error: unknown,
): Pick<NetworkReport, "outcome" | "isWorthRetrying"> & Partial<NetworkReport> {
  if (!(error instanceof CollectiveError)) {
    return { outcome: "failed", isWorthRetrying: false, reasons: [String(error)] };
  }
  const { code, message, data, hint } = error;
  const isWorthRetrying = [code, ...listOf(data["codes"])].some((name) => PASSING.has(name));
  const isRefused = REFUSING.has(code) && !isWorthRetrying;
  const reasons = code === "ROLLOUT_REFUSED" ? listOf(data["reasons"]) : [`${code}: ${message}`];
  return {
    outcome: isRefused ? "refused" : "failed",
    isWorthRetrying,
    reasons: [...reasons, ...(hint === undefined ? [] : [hint])],
  };
}

function listOf(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function isLibrary(error: unknown): boolean {
  return error instanceof CollectiveError && listOf(error.data["codes"]).includes("CVL_ROOT_OBJECT");
}

/** Networks the state knows and the commit does not: they are left as they are. */
function goneNetworks(snapshot: StateSnapshot, claimed: ReadonlySet<string>): NetworkReport[] {
  return [...readableNetworks(snapshot)].flatMap(([networkId, state]) => {
    if (claimed.has(networkId)) return [];
    if ([...state.machines.values()].every(({ phase }) => phase === "stopped")) return [];
    const { file } = state.record;
    const reason =
      `its root file is gone and it still runs; \`cui stop ${file}\` stops it, ` +
      `and where the file was renamed, \`- { id: ${networkId}, file: <its new name> }\` under networks: of utility.yaml keeps it`;
    return [
      {
        ...{ file, networkId, outcome: "gone" as const, reasons: [reason], warnings: [] },
        ...{ plan: undefined, isWorthRetrying: false, totalMs: 0 },
      },
    ];
  });
}
