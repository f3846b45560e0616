/** What a change of a site would do to its networks: two commits, evaluated over all repositories, compared. */
import pLimit from "p-limit";
import type { Diagnostic, TextOf } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import { approvedNetwork, APPROVAL_FORMAT, type Approval } from "../plan/approval.ts";
import type { Plan } from "../plan/plan.ts";
import type { Environment, Git } from "../git/git.ts";
import { withMirrors } from "../appliance/mirrors.ts";
import {
  compareRoot,
  isApplicable,
  type CompareRootOptions,
  type PreviewedNetwork,
  type SideName,
} from "./compare-root.ts";
import { EMPTY_INVENTORY, type Inventory } from "../site/inventory.ts";
import { PREVIEW_LIMITS, withinLimits, type Budget, type PreviewLimits } from "./preview-limits.ts";
import { changedPolicy } from "../site/policy.ts";
import { checkedInventory, INVENTORY_FILE } from "../site/site.ts";
import { parseInventory } from "../site/read-inventory.ts";
import { pairRoots, type Root, type RootPair } from "../site/site-roots.ts";
import { NO_SIDE, openCommitSide, openWorkingSide, type SiteSide } from "../site/site-side.ts";

export interface CompareOptions {
  /** Called in the site's folder, in a clone or in a bare repository; it need not be in the working tree. */
  readonly git: Git;
  /** What runs: a commit of the repository around `folder`; null: nothing does yet. */
  readonly base: string | null;
  /** Undefined: the working tree, for a person who looks at their own. */
  readonly head: string | undefined;
  /** Whose utility.yaml says what is allowed; default the base. */
  readonly policyCommit?: string | undefined;
  /** This root file alone; default those that the inventories of both sides list, else every CVL file of the folder. */
  readonly root?: Root | undefined;
  /** What relative URLs of root files are relative to; default the URL of `origin`. */
  readonly baseUrl?: string | undefined;
  /** Look for moved tags and withdrawn versions on the remotes; false uses the mirrors where they have what is needed. */
  readonly fetch?: boolean;
  /** Folder of the mirrors. */
  readonly cache?: string | undefined;
  /** Variables of the git that fetches imports: a read-only token for some prefixes, say. */
  readonly fetchEnv?: Environment | undefined;
  /** Refuse imports of paths and file URLs: for commits of strangers. */
  readonly refusePaths?: boolean;
  /** Whether required parameters must have values; default: where either side has a utility.yaml. */
  readonly isSite?: boolean;
  readonly nameOf?: CompareRootOptions["nameOf"];
  readonly limits?: Partial<PreviewLimits>;
  readonly signal?: AbortSignal | undefined;
}

export interface SiteComparison {
  /** 40 hex digits; null: nothing, or the working tree. */
  readonly base: string | null;
  readonly head: string | null;
  /** In the order of the inventory. utility.yaml itself is among them when it has mistakes. */
  readonly networks: readonly PreviewedNetwork[];
  /** Of all networks, each once. */
  readonly diagnostics: readonly Diagnostic[];
  readonly textOf: TextOf;
  /** What the head changes in the policy, which holds from the next change on: `imports.allow`. */
  readonly policyChanges: readonly string[];
  /** Every network could be planned and no plan is refused. */
  readonly isApplicable: boolean;
}

/** Roots that are read and evaluated at the same time. */
const MAX_AT_ONCE = 16;

/**
 * Compares two sides of a site. What is wrong with their files is in the result.
 * @throws CollectiveError REPOSITORY_REVISION_MISSING, UTILITY_INVENTORY_INVALID for the policy's utility.yaml,
 *   PREVIEW_TIMED_OUT, PREVIEW_TOO_LARGE.
 */
export async function compareSite(options: CompareOptions): Promise<SiteComparison> {
  const limits = { ...PREVIEW_LIMITS, ...options.limits };
  return withinLimits(limits, (budget) => compareWithin(options, budget), options.signal);
}

async function compareWithin(options: CompareOptions, budget: Budget): Promise<SiteComparison> {
  const { git } = options;
  const opened: SiteSide[] = [];
  const open = async (rev: string): Promise<SiteSide> => {
    const side = await openCommitSide(git, rev);
    opened.push(side);
    return side;
  };
  try {
    const base = options.base === null ? NO_SIDE : await open(options.base);
    const head = options.head === undefined ? openWorkingSide(git) : await open(options.head);
    const policySide = options.policyCommit === undefined ? base : await open(options.policyCommit);
    return await compareSides(options, { base, head, policySide, budget });
  } finally {
    for (const side of opened) await side.close();
  }
}

interface OpenedSides {
  readonly base: SiteSide;
  readonly head: SiteSide;
  readonly policySide: SiteSide;
  readonly budget: Budget;
}

async function compareSides(
  options: CompareOptions,
  { base, head, policySide, budget }: OpenedSides,
): Promise<SiteComparison> {
  const policy = await readPolicy(policySide);
  const inventories = {
    base: await readInventory(base, "base", options),
    head: await readInventory(head, "head", options),
  };
  budget.spendBytes((inventories.base?.text.length ?? 0) + (inventories.head?.text.length ?? 0));
  const pairs =
    options.root === undefined
      ? await pairRoots({
          base: inventories.base?.inventory,
          head: inventories.head?.inventory,
          listFiles: async () => [...(await base.listCvlFiles()), ...(await head.listCvlFiles())],
        })
      : [pairOf(options.root)];
  budget.requireRoots(pairs.length);
  const compared = await compareAll(pairs, {
    ...options,
    sides: { base, head },
    policy: policy ?? EMPTY_INVENTORY,
    budget,
    isSite: options.isSite ?? (inventories.base !== undefined || inventories.head !== undefined),
  });
  const networks = [...brokenInventory(inventories.head), ...compared];
  return {
    base: base.commit,
    head: head.commit,
    networks,
    ...collectDiagnostics(networks),
    policyChanges: changedPolicy(policy ?? EMPTY_INVENTORY, inventories.head?.inventory),
    isApplicable: isApplicable(networks),
  };
}

async function compareAll(
  pairs: readonly RootPair[],
  options: CompareOptions & Pick<CompareRootOptions, "sides" | "policy" | "budget" | "isSite">,
): Promise<readonly PreviewedNetwork[]> {
  const { sides, budget } = options;
  let baseUrl: Promise<string> | undefined;
  return withMirrors(
    options.git.with(options.fetchEnv ?? {}).until(budget.signal),
    async (mirrors) => {
      const limit = pLimit(MAX_AT_ONCE);
      const root: CompareRootOptions = {
        folder: options.git.folder,
        sides,
        policy: options.policy,
        budget,
        isSite: options.isSite,
        mirrors,
        refusePaths: options.refusePaths === true,
        fetch: options.fetch !== false,
        baseUrl: () =>
          (baseUrl ??=
            options.baseUrl === undefined ? sides.head.baseUrl() : Promise.resolve(options.baseUrl)),
        nameOf: options.nameOf ?? nameIn(sides),
      };
      const found = await Promise.all(pairs.map((pair) => limit(compareRoot, pair, root)));
      return found.filter((network) => network !== undefined);
    },
    { cache: options.cache },
  );
}

/** The head's files by their own names, as a pull request shows them; the base's with their commit. */
function nameIn(sides: CompareRootOptions["sides"]): CompareRootOptions["nameOf"] {
  const commit = sides.base.commit?.slice(0, 12) ?? "";
  return (file, side) => (side === "head" ? file : `${commit}:${file}`);
}

function pairOf(root: Root): RootPair {
  return { base: root, head: root, isListed: false };
}

/**
 * The policy of a commit; undefined: of the working tree. Without a utility.yaml there is none.
 * @throws CollectiveError UTILITY_INVENTORY_INVALID, REPOSITORY_REVISION_MISSING, REPOSITORY_FILE_….
 */
export async function policyAt(git: Git, commit: string | undefined): Promise<Inventory> {
  const side = commit === undefined ? openWorkingSide(git) : await openCommitSide(git, commit);
  try {
    return (await readPolicy(side)) ?? EMPTY_INVENTORY;
  } finally {
    await side.close();
  }
}

interface ReadInventory {
  readonly name: string;
  readonly text: string;
  readonly inventory: Inventory | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

/** @throws CollectiveError UTILITY_INVENTORY_INVALID: without a policy nothing may be previewed. */
async function readPolicy(side: SiteSide): Promise<Inventory | undefined> {
  const text = await side.readInventory();
  return text === undefined ? undefined : checkedInventory(text);
}

async function readInventory(
  side: SiteSide,
  name: SideName,
  options: CompareOptions,
): Promise<ReadInventory | undefined> {
  const shown = options.nameOf?.(INVENTORY_FILE, name) ?? INVENTORY_FILE;
  try {
    const text = await side.readInventory();
    return text === undefined ? undefined : { name: shown, text, ...parseInventory(text, shown) };
  } catch (error) {
    if (!(error instanceof CollectiveError)) throw error;
    const { message } = error;
    const diagnostic = { code: "INVENTORY_INVALID", severity: "error", message, span: undefined } as const;
    return { name: shown, text: "", inventory: undefined, diagnostics: [diagnostic] };
  }
}

/** An inventory with mistakes, as what cannot be planned. */
function brokenInventory(read: ReadInventory | undefined): PreviewedNetwork[] {
  if (read === undefined || read.diagnostics.length === 0) return [];
  const { name, text, diagnostics } = read;
  return [
    {
      file: name,
      isBefore: true,
      isAfter: true,
      plan: null,
      problems: diagnostics.map(({ code, message }) => `${code}: ${message}`),
      diagnostics,
      textOf: (file) => (file === name ? text : undefined),
    },
  ];
}

function collectDiagnostics(
  networks: readonly PreviewedNetwork[],
): Pick<SiteComparison, "diagnostics" | "textOf"> {
  const seen = new Map<string, Diagnostic>();
  for (const { diagnostics } of networks) {
    for (const diagnostic of diagnostics) {
      const { code, message, span } = diagnostic;
      seen.set(JSON.stringify([code, message, span]), diagnostic);
    }
  }
  const textOf: TextOf = (file) => {
    for (const network of networks) {
      const text = network.textOf(file);
      if (text !== undefined) return text;
    }
    return undefined;
  };
  return { diagnostics: [...seen.values()], textOf };
}

export type PreviewOptions = Omit<CompareOptions, "head" | "root"> & { readonly head: string };

export interface SitePreview extends SiteComparison {
  readonly head: string;
  readonly plans: readonly Plan[];
  /** What somebody who accepts this preview approves; networks without a plan are not in it. */
  readonly approval: Approval;
}

/** git's word for "no commit". */
const NO_COMMIT = "0".repeat(40);

/** Compares two commits, for those who will approve the change. @throws as `compareSite`. */
export async function previewSite(options: PreviewOptions): Promise<SitePreview> {
  const compared = await compareSite(options);
  const head = compared.head ?? NO_COMMIT;
  const networks = compared.networks.flatMap(({ file, object, plan }) =>
    plan === null ? [] : [approvedNetwork(object === undefined ? { file } : { file, object }, plan)],
  );
  return {
    ...compared,
    head,
    plans: compared.networks.flatMap(({ plan }) => plan ?? []),
    approval: { format: APPROVAL_FORMAT, base: compared.base ?? NO_COMMIT, head, networks },
  };
}
