/** What would happen to a site's networks between two commits, or between a commit and the working tree. */
import { readdir } from "node:fs/promises";
import path from "node:path";
import type { Diagnostic, TextOf } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import { requireComplete } from "../network/missing.ts";
import { diffNetworks, planRemove } from "../plan/diff-networks.ts";
import type { Plan } from "../plan/plan.ts";
import { listCommittedFiles } from "../repository/list-committed-files.ts";
import { withMirrors, type Mirrors } from "../repository/mirrors.ts";
import { describeNetwork, hasErrors, type DescribedNetwork } from "./describe.ts";
import { forecastFetch } from "./fetch-forecast.ts";
import type { Inventory } from "./inventory.ts";
import { findSite } from "./site.ts";

export interface CompareOptions {
  readonly cwd: string;
  /** A revision of the repository around `cwd`. */
  readonly before: string;
  /** Undefined: the working tree. */
  readonly after: string | undefined;
  /** One root file, relative to `cwd`; undefined: every root file of the site, or of `cwd` when it lies in no site. */
  readonly file: string | undefined;
  readonly object?: string;
  /** Folder of the mirrors. */
  readonly cache?: string;
}

export interface Comparison {
  /** Relative to `cwd`. */
  readonly file: string;
  readonly isBefore: boolean;
  readonly isAfter: boolean;
  /** Undefined when `diagnostics` has an error. */
  readonly plan: Plan | undefined;
  readonly diagnostics: readonly Diagnostic[];
  readonly textOf: TextOf;
}

/** One comparison for each root file. @throws CollectiveError REPOSITORY_REVISION_MISSING, INVALID_INPUT without any root file. */
export async function compareRevisions(options: CompareOptions): Promise<Comparison[]> {
  const site = await findSite(options.cwd).catch((error: unknown) => {
    if (error instanceof CollectiveError && error.code === "UTILITY_NO_SITE") return undefined;
    throw error;
  });
  const roots = await listRoots(options, site);
  return withMirrors(
    async (mirrors) => {
      const comparisons: Comparison[] = [];
      for (const root of roots) {
        comparisons.push(await compareFile({ ...options, ...root, inventory: site?.inventory, mirrors }));
      }
      const isLibrary = ({ diagnostics }: Comparison): boolean =>
        options.file === undefined && diagnostics.some(({ code }) => code === "CVL_ROOT_OBJECT");
      return comparisons.filter((comparison) => !isLibrary(comparison));
    },
    { cache: options.cache },
  );
}

interface Root {
  readonly file: string;
  readonly object?: string;
}

/** The networks the inventory lists; before the first start none is, then every CVL file of the folder on either side. */
async function listRoots(
  options: CompareOptions,
  site: { readonly folder: string; readonly inventory: Inventory } | undefined,
): Promise<Root[]> {
  const { cwd, file, object } = options;
  if (file !== undefined) return [object === undefined ? { file } : { file, object }];
  const folder = site?.folder ?? cwd;
  const listed = site?.inventory.networks ?? [];
  const toRoot = (name: string): string => path.relative(cwd, path.join(folder, name));
  if (listed.length > 0) {
    return listed.map((network) => ({
      file: toRoot(network.file),
      ...(network.object === undefined ? {} : { object: network.object }),
    }));
  }
  const names = new Set(await listCommittedFiles({ folder, rev: options.before }));
  const later =
    options.after === undefined
      ? await readdir(folder)
      : await listCommittedFiles({ folder, rev: options.after });
  for (const name of later) names.add(name);
  const files = [...names].filter((name) => name.endsWith(".cvl")).sort();
  if (files.length > 0) return files.map((name) => ({ file: toRoot(name) }));
  throw new CollectiveError(
    "INVALID_INPUT",
    `${folder} has no CVL file, neither in ${options.before} nor after`,
    {
      hint: "name the root file: cui diff HEAD~1 acme.cvl",
    },
  );
}

interface CompareFileOptions extends CompareOptions, Root {
  readonly file: string;
  readonly inventory: Inventory | undefined;
  readonly mirrors: Mirrors;
}

async function compareFile(options: CompareFileOptions): Promise<Comparison> {
  const { file, mirrors } = options;
  const before = await describeSide(options, options.before);
  const after = await describeSide(options, options.after);
  if (before === undefined && after === undefined) {
    throw new CollectiveError(
      "INVALID_INPUT",
      `${file} exists neither in ${options.before} nor in ${options.after ?? "the working tree"}`,
    );
  }
  const textOf: TextOf = (name) => after?.loaded.textOf(name) ?? before?.loaded.textOf(name);
  const missing = after?.network === undefined ? [] : requireComplete(after.network);
  const diagnostics = [
    ...errorsOf(before),
    ...(after?.diagnostics ?? []).filter((entry) => !isRepeated(entry, before)),
    ...missing,
  ];
  const sides = { file, isBefore: before !== undefined, isAfter: after !== undefined, diagnostics, textOf };
  return { ...sides, plan: hasErrors(diagnostics) ? undefined : await planOf(before, after, mirrors) };
}

async function planOf(
  before: DescribedNetwork | undefined,
  after: DescribedNetwork | undefined,
  mirrors: Mirrors,
): Promise<Plan | undefined> {
  const running = before?.network ?? null;
  const wanted = after?.network;
  if (wanted === undefined) return running === null ? undefined : planRemove(running);
  const fetchBytes = await forecastFetch(running, wanted, mirrors);
  return diffNetworks(running, wanted, {
    fetchBytes,
    ...(after?.inputs === undefined ? {} : { inputs: after.inputs }),
  });
}

/** Undefined when the file is not there on this side. */
async function describeSide(
  { file, cwd, object, inventory, mirrors }: CompareFileOptions,
  rev: string | undefined,
): Promise<DescribedNetwork | undefined> {
  try {
    return await describeNetwork({
      file,
      cwd,
      versions: "locked",
      writeLock: false,
      mirrors,
      ...(rev === undefined ? {} : { rev }),
      ...(object === undefined ? {} : { object }),
      ...(inventory?.allow === undefined ? {} : { allow: inventory.allow }),
    });
  } catch (error) {
    if (error instanceof CollectiveError && error.code === "REPOSITORY_FILE_MISSING") return undefined;
    throw error;
  }
}

/** Warnings about the old side are of no use any more. */
function errorsOf(before: DescribedNetwork | undefined): Diagnostic[] {
  return (before?.diagnostics ?? []).filter(({ severity }) => severity === "error");
}

/** The same warning on both sides is no news, and the same error needs to be read once. */
function isRepeated(diagnostic: Diagnostic, before: DescribedNetwork | undefined): boolean {
  return (before?.diagnostics ?? []).some(
    ({ code, message }) => code === diagnostic.code && message === diagnostic.message,
  );
}
