/** What follows from CVL alone: how machines lie together, who waits for whom, and every mistake in it. */
import { hasErrors, type Diagnostic } from "../diagnostics.ts";
import type { Component, ComponentPath, InstanceTree } from "../cvl/tree.ts";
import { checkAddresses } from "./addresses.ts";
import { bootOrder, type CycleStep } from "./boot-order.ts";
import { placeOf, report, type BuildContext } from "./build-context.ts";
import { checkLimits } from "./check-limits.ts";
import { readDataDisks } from "./data-disks.ts";
import { checkNeverAssigned } from "./never-assigned.ts";
import { displayPath, parentPath } from "./paths.ts";
import { createOriginFinder } from "./places.ts";
import { buildServices, type Services } from "./services.ts";
import { checkSubnets } from "./subnets.ts";
import { buildTopology, type Topology } from "./topology.ts";

export interface DecidedNetwork {
  readonly topology: Topology;
  readonly services: Services;
}

/** Every mistake of a network that can be found without the images of its machines. */
export function checkNetwork(
  tree: InstanceTree,
  options: Pick<BuildContext, "isPart"> = {},
): readonly Diagnostic[] {
  const context: BuildContext = { tree, originOf: createOriginFinder(), diagnostics: [], ...options };
  decideNetwork(context);
  for (const component of tree.components.values()) {
    if (component.kind === "machine") readDataDisks(context, component, undefined);
  }
  return context.diagnostics;
}

/** Segments, gateways, services and the order of starts; what is wrong is reported. */
export function decideNetwork(context: BuildContext): DecidedNetwork {
  checkNotEmpty(context);
  checkLimits(context);
  const topology = buildTopology(context);
  checkAddresses(context, topology);
  checkSubnets(context, topology);
  // What is never assigned follows from how the interfaces lie: with a mistake there it is not known.
  if (!hasErrors(context.diagnostics)) checkNeverAssigned(context, topology);
  const services = buildServices(context);
  reportCycle(context, findCycle(services));
  return { topology, services };
}

function findCycle({ startsAfter }: Services): readonly CycleStep[] | undefined {
  const machines = Object.fromEntries([...startsAfter].map(([path, list]) => [path, { startsAfter: list }]));
  return bootOrder({ machines }).cycle;
}

function checkNotEmpty(context: BuildContext): void {
  const populated = new Set<ComponentPath>();
  for (const component of context.tree.components.values()) {
    if (component.kind !== "machine") continue;
    for (let at = parentPath(component.path); at !== undefined && !populated.has(at); at = parentPath(at)) {
      populated.add(at);
    }
  }
  for (const component of context.tree.components.values()) {
    if (component.kind === "machine" || populated.has(component.path)) continue;
    report(context, {
      code: "NETWORK_EMPTY",
      severity: component.path === "" && context.isPart !== true ? "error" : "warning",
      message: `the network ${displayPath(component.path, context.tree.appliance)} has no machines`,
      place: component.declared,
      hint: "declare at least one appliance in it",
    });
  }
}

const CHAIN_SHOWN = 12;

function reportCycle(context: BuildContext, cycle: readonly CycleStep[] | undefined): void {
  const [first] = cycle ?? [];
  if (cycle === undefined || first === undefined) return;
  const name = (path: ComponentPath): string => displayPath(path, context.tree.appliance);
  const shown = cycle
    .slice(0, CHAIN_SHOWN)
    .map(
      ({ component, service, provider }) =>
        `${name(component)} requires "${service.slice(0, 40)}" of ${name(provider)}`,
    );
  if (cycle.length > CHAIN_SHOWN)
    shown.push(`and ${cycle.length - CHAIN_SHOWN} more, back to ${name(first.component)}`);
  const component = context.tree.components.get(first.component);
  if (component === undefined) return;
  report(context, {
    code: "NETWORK_DEPENDENCY_CYCLE",
    message: `no machine of this chain can start first: ${shown.join(", ")}`,
    place: requirementPlace(context, component, first.service),
    hint: "take one requirement of the chain away, or add another provider",
  });
}

/** Where the requirement is written: at the machine, else at the network it comes from. */
function requirementPlace(
  context: BuildContext,
  machine: Component,
  service: string,
): ReturnType<typeof placeOf> {
  for (let at: Component | undefined = machine; at !== undefined;) {
    const elements = at.parameters.get("requires")?.elements ?? [];
    if (elements.includes(service)) return placeOf(at, "requires");
    const parent = parentPath(at.path);
    at = parent === undefined ? undefined : context.tree.components.get(parent);
  }
  return machine.declared;
}
