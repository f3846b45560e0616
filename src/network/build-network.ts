/**
 * From an instance tree and the machines' images to the description of the network: machines, segments, gateways, boot order.
 * Pure. All mistakes are collected; with an error among them there is no description.
 */
import type { Component, ComponentPath, InstanceTree } from "../cvl/tree.ts";
import { hasErrors, type Diagnostic } from "../diagnostics.ts";
import type { MachineImage } from "../appliance/machine-image.ts";
import { placeOf, report, type BuildContext } from "./build-context.ts";
import { decideNetwork } from "./decide-network.ts";
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
import { displayPath } from "./paths.ts";
import { createOriginFinder } from "./places.ts";
import type { Services } from "./services.ts";
import type { Topology } from "./topology.ts";

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
  const { topology, services } = decideNetwork(context);
  const machines = describeMachines(context, images, { topology, services });
  const network = assemble(context, machines, { topology, services });
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

function reportNoImage(context: BuildContext, machine: Component): void {
  if ((machine.parameters.get("vm")?.elements ?? []).length === 0) return;
  report(context, {
    code: "NETWORK_VM_UNRESOLVED",
    message: `vm of ${displayPath(machine.path, context.tree.appliance)} could not be read, so there is no machine to run`,
    place: placeOf(machine, "vm"),
  });
}
