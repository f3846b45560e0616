/** What would happen to one network between two sides of its site. */
import { hasErrors, lineAndColumn, visible, type Diagnostic, type TextOf } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import type { NetworkDescription } from "../network/description.ts";
import { refuseNestedNetworks, requireComplete } from "../network/missing.ts";
import { diffNetworks, planRemove } from "../plan/diff-networks.ts";
import type { PlannedNetwork } from "../plan/markdown-model.ts";
import type { Plan, PlanFacts, PlanWarning } from "../plan/plan.ts";
import { renderMermaid } from "../plan/render-mermaid.ts";
import type { Mirrors } from "../appliance/mirrors.ts";
import { describeNetwork, type DescribedNetwork } from "../site/describe-network.ts";
import { forecastFetch } from "./fetch-forecast.ts";
import type { Inventory } from "../site/inventory.ts";
import { planWarnings } from "./plan-warnings.ts";
import { blacklistFacts, policyOf } from "../site/policy.ts";
import type { Budget } from "./preview-limits.ts";
import type { Root, RootPair } from "../site/site-roots.ts";
import type { SiteSide } from "../site/site-side.ts";

export interface PreviewedNetwork extends PlannedNetwork {
  readonly object?: string | undefined;
  /** From utility.yaml; undefined where no inventory lists it. */
  readonly id?: string | undefined;
  readonly isBefore: boolean;
  readonly isAfter: boolean;
  /** What is new in them, in the order of the steps; rendered with `textOf`. */
  readonly diagnostics: readonly Diagnostic[];
  readonly textOf: TextOf;
}

export type SideName = "base" | "head";

export interface CompareRootOptions {
  readonly folder: string;
  readonly sides: Readonly<Record<SideName, SiteSide>>;
  /** Whose allow, approval and blacklist hold. */
  readonly policy: Inventory;
  readonly mirrors: Mirrors;
  readonly budget: Budget;
  readonly refusePaths: boolean;
  readonly fetch: boolean;
  readonly baseUrl: () => Promise<string>;
  /** How a root file of a side is called in what is shown. */
  readonly nameOf: (file: string, side: SideName) => string;
  /** Required parameters must have values and required services providers: not so in an appliance's own repository. */
  readonly isSite: boolean;
}

/** Pictures of more machines are never shown in a comment. */
const MOST_DRAWN = 300;

/** Undefined when there is no such network on either side, or the file only holds definitions. Whatever else is wrong is in the result. */
export async function compareRoot(
  pair: RootPair,
  options: CompareRootOptions,
): Promise<PreviewedNetwork | undefined> {
  const [before, after] = await Promise.all([
    describeSide("base", pair.base, options),
    describeSide("head", pair.head, options),
  ]);
  options.budget.requireTime();
  const decisive = after ?? before;
  if (decisive === undefined) return pair.isListed ? notThere(pair) : undefined;
  if (!pair.isListed && [before, after].every((side) => side === undefined || isLibrary(side)))
    return undefined;
  const { file, object } = after === undefined ? pair.base : pair.head;
  const textOf: TextOf = (name) => after?.textOf(name) ?? before?.textOf(name);
  const isBefore = before !== undefined;
  const known = { file, object, id: pair.id, isBefore, isAfter: after !== undefined, textOf };
  const diagnostics = decisive.diagnostics.filter((entry) => !isRepeated(entry, after && before));
  if (decisive.network === undefined || hasErrors(diagnostics)) {
    return { ...known, plan: null, problems: problemsOf(decisive), diagnostics };
  }
  const plan = await planOf(before, after, options);
  options.budget.requireTime();
  const isDrawable = Object.keys(decisive.network.machines).length <= MOST_DRAWN;
  return {
    ...known,
    plan,
    diagnostics,
    ...(isDrawable ? { diagram: renderMermaid(decisive.network, plan) } : {}),
  };
}

/** One side of a network as far as it could be told. */
interface DescribedSide {
  readonly network: NetworkDescription | undefined;
  readonly described: DescribedNetwork | undefined;
  readonly diagnostics: readonly Diagnostic[];
  /** Why its file could not even be read. */
  readonly failure: string | undefined;
  readonly textOf: TextOf;
}

async function describeSide(
  name: SideName,
  { file, object }: Root,
  options: CompareRootOptions,
): Promise<DescribedSide | undefined> {
  const { budget, policy, isSite } = options;
  budget.requireTime();
  try {
    const root = await options.sides[name].readRoot(file, {
      displayName: options.nameOf(file, name),
      maxBytes: budget.bytesLeft(),
    });
    if (root === undefined) return undefined;
    budget.spendBytes(Buffer.byteLength(root.source.text) + (root.lockText?.length ?? 0));
    const described = await describeNetwork({
      file,
      root,
      cwd: options.folder,
      versions: "locked",
      writeLock: false,
      fetch: options.fetch,
      refusePaths: options.refusePaths,
      baseUrl: await options.baseUrl(),
      policy: policyOf(policy),
      isPart: !isSite,
      mirrors: options.mirrors,
      ...(object === undefined ? {} : { object }),
      ...(policy.allow === undefined ? {} : { allow: policy.allow }),
    });
    const { network } = described;
    const missing = name === "base" || network === undefined || !isSite ? [] : requireComplete(network);
    const diagnostics = [...described.diagnostics, ...missing];
    return { network, described, diagnostics, failure: undefined, textOf: described.loaded.textOf };
  } catch (error) {
    if (!isOfTheFile(error)) throw error;
    const failure = `${file}: ${error.code}: ${visible(error.message)}`;
    return { network: undefined, described: undefined, diagnostics: [], failure, textOf: () => undefined };
  }
}

/** A symlink in the place of a file, say: one network cannot be planned, the others can. */
function isOfTheFile(error: unknown): error is CollectiveError {
  return error instanceof CollectiveError && /^(REPOSITORY|DISK)_/.test(error.code);
}

async function planOf(
  before: DescribedSide | undefined,
  after: DescribedSide | undefined,
  options: CompareRootOptions,
): Promise<Plan> {
  const running = before?.network ?? null;
  const wanted = after?.network;
  if (wanted === undefined || after?.described === undefined) {
    if (running === null) throw new Error("a network that is on neither side is not planned");
    return planRemove(running);
  }
  const { inputs, loaded } = after.described;
  const lost = before !== undefined && running === null ? [lostBase(before)] : [];
  const facts: PlanFacts = {
    fetchBytes: await forecastFetch(running, wanted, options.mirrors),
    blacklisted: blacklistFacts(wanted, options.policy.blacklist),
    warnings: [...lost, ...planWarnings(after.described.diagnostics, loaded.textOf)],
    ...(inputs === undefined ? {} : { inputs }),
  };
  const plan = diffNetworks(running, wanted, facts);
  const nested = options.isSite ? refuseNestedNetworks(wanted) : [];
  if (nested.length === 0) return plan;
  return {
    ...plan,
    refusals: [...nested.map((entry) => ({ ...entry, component: undefined })), ...plan.refusals],
  };
}

/** A base that cannot be evaluated any more must not forbid the change that repairs it; apply looks at what really runs. */
function lostBase(side: DescribedSide): PlanWarning {
  const [why = ""] = problemsOf(side);
  return {
    component: undefined,
    message: `the base cannot be evaluated, so everything is shown as if nothing ran: ${why}`,
  };
}

function notThere({ head, id }: RootPair): PreviewedNetwork {
  const problems = [`${head.file}: utility.yaml lists this file, and it is not there`];
  const nothing = { isBefore: false, isAfter: false, diagnostics: [], textOf: () => undefined };
  return { ...nothing, ...head, id, plan: null, problems };
}

/** A file of definitions that other files import: it has no root object, and that is all that is wrong. */
function isLibrary({ diagnostics }: DescribedSide): boolean {
  return diagnostics.some(({ code }) => code === "CVL_ROOT_OBJECT");
}

/** The same warning on both sides is no news. */
function isRepeated(diagnostic: Diagnostic, before: DescribedSide | undefined): boolean {
  return (
    diagnostic.severity !== "error" &&
    (before?.diagnostics ?? []).some(
      ({ code, message }) => code === diagnostic.code && message === diagnostic.message,
    )
  );
}

function problemsOf({ failure, diagnostics, textOf }: DescribedSide): string[] {
  const errors = diagnostics.filter(({ severity }) => severity === "error");
  return [...(failure === undefined ? [] : [failure]), ...errors.map((entry) => problemOf(entry, textOf))];
}

/** `acme.cvl:7: CVL_SYNTAX: …` */
function problemOf({ code, message, span }: Diagnostic, textOf: TextOf): string {
  const text = span === undefined ? undefined : textOf(span.file);
  const line = span === undefined || text === undefined ? "" : `:${lineAndColumn(text, span.start).line}`;
  return `${span === undefined ? "" : `${span.file}${line}: `}${code}: ${visible(message)}`;
}

/** Whether every plan may be carried out as far as a preview can tell. */
export function isApplicable(networks: readonly PreviewedNetwork[]): boolean {
  return networks.every(({ plan }) => plan !== null && plan.refusals.length === 0);
}
