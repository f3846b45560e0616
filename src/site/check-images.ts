/** What `cui plan` says of a root file before it asks a host or the state: images of machines, and how machines lie with them. */
import { existsSync } from "node:fs";
import path from "node:path";
import type { LoadedAppliance } from "../appliance/loaded-appliance.ts";
import type { Mirrors } from "../appliance/mirrors.ts";
import { imageRequestOf } from "../appliance/resolve-machine-images.ts";
import { evaluate } from "../cvl/evaluate/evaluate.ts";
import type { LinkedProgram } from "../cvl/link/program.ts";
import type { InstanceTree } from "../cvl/tree.ts";
import { hasErrors, makeDiagnostic, type Diagnostic } from "../diagnostics.ts";
import type { NetworkDescription } from "../network/description.ts";
import { refuseNestedNetworks } from "../network/missing.ts";
import { describeTree } from "./describe-network.ts";
import type { Inventory } from "./inventory.ts";
import { findBlacklisted } from "./policy.ts";

export interface CheckedImages {
  /** Undefined with errors. */
  readonly network: NetworkDescription | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * For a program whose other checks found no error. `inventory` is that of the site the file lies in; an appliance by itself may
 * have disks that `cui publish` has still to store.
 */
export async function checkImages(
  mirrors: Mirrors,
  program: LinkedProgram,
  { inventory, addText }: Pick<LoadedAppliance, "addText"> & { readonly inventory: Inventory | undefined },
): Promise<CheckedImages> {
  const { tree, diagnostics: inValues } = evaluate(program);
  if (hasErrors(inValues)) return { network: undefined, diagnostics: [] };
  const isPart = inventory === undefined && tree.components.get("")?.kind !== "network";
  const { network, diagnostics } = await describeTree(mirrors, { loaded: { addText }, tree, isPart });
  const unpublished = inventory === undefined ? unpublishedPlaces(tree) : new Set<string>();
  const told = diagnostics.filter(
    ({ code, span }) =>
      (code !== "VM_DISK_MISSING" && code !== "VM_DESCRIPTION_MISSING") ||
      !unpublished.has(JSON.stringify(span)),
  );
  const refused = network === undefined || inventory === undefined ? [] : refusals(network, inventory);
  return { network, diagnostics: [...told, ...refused] };
}

/** Where a folder's own VM description is named that is there: what it names goes into git when it is published. */
function unpublishedPlaces(tree: InstanceTree): ReadonlySet<string> {
  const requests = [...tree.components.values()].flatMap((component) => imageRequestOf(component) ?? []);
  const own = requests.filter(
    ({ source, file }) => source.commit === null && existsSync(path.join(source.url, file)),
  );
  return new Set(own.map(({ span }) => JSON.stringify(span)));
}

/** What a plan of it would refuse. Nested networks can be planned and drawn: of them it is said that they do not run yet. */
function refusals(network: NetworkDescription, { blacklist }: Inventory): Diagnostic[] {
  const listed = findBlacklisted(network, blacklist).map(({ component, url, version, reason }) => {
    const why = reason === undefined ? "" : ` (${reason})`;
    const message = `${component === "" ? network.appliance : component} would start ${url} v${version}, which is on the blacklist${why}`;
    return makeDiagnostic("PLAN_BLACKLISTED", message, undefined, { hint: "choose another version of it" });
  });
  const nested = refuseNestedNetworks(network).map((found): Diagnostic => ({
    ...found,
    severity: "warning",
  }));
  return [...listed, ...nested];
}
