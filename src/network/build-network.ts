/**
 * From an instance tree and the machines' images to the description of the network: machines, segments, gateways, boot order.
 * Pure. All mistakes are collected; with an error among them there is no description.
 */
import type { Component, ComponentPath, InstanceTree } from "../cvl/tree.ts";
import { hasErrors, type Diagnostic } from "../diagnostics.ts";
import type { MachineImage } from "../appliance/machine-image.ts";
import { checkAddresses } from "./addresses.ts";
import { bootOrder, type CycleStep } from "./boot-order.ts";
import { placeOf, report, type BuildContext } from "./build-context.ts";
import { describeMachine } from "./describe-machine.ts";
import {
  EXTERNAL_SEGMENT,
  NETWORK_FORMAT,
  type MachineDescription,
  type NetworkComponent,
  type NetworkDescription,
  type SegmentDescription,
  type SegmentId,
} from "./description.ts";
import { collectMissing } from "./missing.ts";
import { displayPath, parentPath } from "./paths.ts";
import { createOriginFinder } from "./places.ts";
import { buildServices, type Services } from "./services.ts";
import { buildTopology, type Topology } from "./topology.ts";

export interface BuiltNetwork {
  /** Undefined when `diagnostics` has an error. */
  readonly network: NetworkDescription | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

/** `images` has the image of every machine, by path; one without is reported (NETWORK_VM_UNRESOLVED). */
export function buildNetwork(
  tree: InstanceTree,
  images: ReadonlyMap<ComponentPath, MachineImage>,
  options: Pick<BuildContext, "isPart"> = {},
): BuiltNetwork {
  const context: BuildContext = { tree, originOf: createOriginFinder(), diagnostics: [], ...options };
  checkNotEmpty(context);
  const topology = buildTopology(context);
  checkAddresses(context, topology);
  const services = buildServices(context);
  const machines = describeMachines(context, images, { topology, services });
  const network = assemble(context, machines, { topology, services });
  reportCycle(context, bootOrder(network).cycle);
  const failed = hasErrors(context.diagnostics);
  return { network: failed ? undefined : network, diagnostics: context.diagnostics };
}

function describeMachines(
  context: BuildContext,
  images: ReadonlyMap<ComponentPath, MachineImage>,
  parts: { readonly topology: Topology; readonly services: Services },
): Record<ComponentPath, MachineDescription> {
  const machines: Record<ComponentPath, MachineDescription> = {};
  for (const component of context.tree.components.values()) {
    if (component.kind !== "machine") continue;
    const image = images.get(component.path);
    if (image === undefined) reportNoImage(context, component);
    else machines[component.path] = describeMachine(context, component, { image, ...parts });
  }
  return machines;
}

function assemble(
  { tree, originOf, diagnostics }: BuildContext,
  machines: Record<ComponentPath, MachineDescription>,
  { topology, services }: { readonly topology: Topology; readonly services: Services },
): NetworkDescription {
  const networks: Record<ComponentPath, NetworkComponent> = {};
  for (const component of tree.components.values()) {
    if (component.kind !== "network") continue;
    networks[component.path] = {
      class: component.class,
      source: component.source,
      exports: topology.exportOf.get(component.path) ?? null,
      requires: services.requires.get(component.path) ?? [],
      provides: services.provides.get(component.path) ?? [],
    };
  }
  return {
    format: NETWORK_FORMAT,
    appliance: tree.appliance,
    isNetwork: tree.components.get("")?.kind === "network",
    machines,
    segments: collectSegments(machines, topology),
    networks,
    nestedNetworks: Object.keys(networks).filter((path) => path !== ""),
    missing: collectMissing({ tree, originOf, diagnostics }),
  };
}

/** The segments some interface lies on, the external one last. */
function collectSegments(
  machines: Readonly<Record<ComponentPath, MachineDescription>>,
  topology: Topology,
): Record<SegmentId, SegmentDescription> {
  const used = new Set<SegmentId>();
  for (const machine of Object.values(machines)) {
    for (const { segment } of Object.values(machine.interfaces)) if (segment !== null) used.add(segment);
  }
  const external = used.delete(EXTERNAL_SEGMENT);
  const ids = [...used].sort();
  if (external) ids.push(EXTERNAL_SEGMENT);
  return Object.fromEntries(ids.map((id) => [id, { id, gateway: topology.gatewayOf.get(id) ?? null }]));
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
      severity: component.path === "" ? "error" : "warning",
      message: `the network ${displayPath(component.path, context.tree.appliance)} has no machines`,
      place: component.declared,
      hint: "declare at least one appliance in it",
    });
  }
}

function reportNoImage(context: BuildContext, machine: Component): void {
  if ((machine.parameters.get("vm")?.elements ?? []).length === 0) return;
  report(context, {
    code: "NETWORK_VM_UNRESOLVED",
    message: `vm of ${displayPath(machine.path, context.tree.appliance)} could not be read, so there is no machine to run`,
    place: placeOf(machine, "vm"),
  });
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
