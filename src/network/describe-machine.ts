/** One machine of the description: what CVL says about it, with the utility's rules for its interfaces applied. */
import type { Component, Element, Parameter } from "../cvl/tree.ts";
import type { MachineImage } from "../appliance/machine-image.ts";
import { placeOf, report, type BuildContext } from "./build-context.ts";
import { checkProgramDisks, readDataDisks } from "./data-disks.ts";
import {
  EXTERNAL_SEGMENT,
  type InterfaceDescription,
  type MachineDescription,
  type Origin,
  type SegmentId,
} from "./description.ts";
import { displayPath, joinPath } from "./paths.ts";
import { isSent } from "./sent-parameters.ts";
import type { Services } from "./services.ts";
import type { Topology } from "./topology.ts";

const MIB = 1024 * 1024;
const MEMORY_BYTES = { least: 16 * MIB, most: 4 * 1024 * 1024 * MIB };
const CPUS = { least: 1, most: 256 };

export function describeMachine(
  context: BuildContext,
  machine: Component,
  parts: { readonly image: MachineImage; readonly topology: Topology; readonly services: Services },
): MachineDescription {
  const { image, topology, services } = parts;
  checkBounds(context, machine, image);
  const dataDisks = readDataDisks(context, machine, image.description);
  checkProgramDisks(context, machine, image.description, dataDisks);
  const interfaces: Record<string, InterfaceDescription> = {};
  for (const name of machine.interfaces) {
    interfaces[name] = describeInterface(context, machine, name, topology);
  }
  const startsAfter = services.startsAfter.get(machine.path) ?? [];
  return {
    path: machine.path,
    class: machine.class,
    source: machine.source,
    image,
    dataDisks,
    interfaces,
    parameters: collectParameters(machine, interfaces),
    origins: collectOrigins(context, machine),
    requires: startsAfter.map((requirement) => requirement.service),
    provides: services.provides.get(machine.path) ?? [],
    startsAfter,
  };
}

function describeInterface(
  context: BuildContext,
  machine: Component,
  name: string,
  topology: Topology,
): InterfaceDescription {
  const full = joinPath(machine.path, name);
  const segment = topology.segmentOf.get(full) ?? null;
  const isGateway = segment !== null && topology.gatewayOf.get(segment) === full;
  const written = (field: string): readonly Element[] => {
    const parameter = machine.parameters.get(`${name}.${field}`);
    return parameter?.assigned == null ? [] : withoutValues(parameter.elements);
  };
  return {
    segment,
    isGateway,
    mac: written("mac"),
    ip: written("ip"),
    subnet: written("subnet"),
    netmask: written("netmask"),
    defaultroute:
      machine.parameters.get(`${name}.defaultroute`)?.assigned == null
        ? routeOf(context, segment, isGateway)
        : written("defaultroute"),
  };
}

/**
 * An interface has the `defaultroute` of the network whose segment it lies on: a component's own network, for an exported
 * interface the parent. The gateway has none on the segment it is the gateway of; on the external segment the utility assigns.
 */
function routeOf(context: BuildContext, segment: SegmentId | null, isGateway: boolean): readonly Element[] {
  if (segment === null || isGateway || segment === EXTERNAL_SEGMENT) return [];
  return withoutValues(context.tree.components.get(segment)?.parameters.get("defaultroute")?.elements ?? []);
}

function collectParameters(
  machine: Component,
  interfaces: Readonly<Record<string, InterfaceDescription>>,
): Record<string, readonly Element[]> {
  const parameters: Record<string, readonly Element[]> = {};
  for (const [name, parameter] of machine.parameters) {
    if (isSent(name)) parameters[name] = withoutValues(elementsOf(machine, name, parameter));
  }
  for (const [name, { segment, defaultroute }] of Object.entries(interfaces)) {
    if (segment !== EXTERNAL_SEGMENT) parameters[`${name}.defaultroute`] = defaultroute;
    if (segment === null) dropUnassigned(machine, name, parameters);
  }
  return parameters;
}

/** A sensitive parameter that CVL does not set is supplied by the user agent. */
function elementsOf(machine: Component, name: string, parameter: Parameter): readonly Element[] {
  if (!parameter.sensitive || parameter.elements.length > 0) return parameter.elements;
  const full = joinPath(machine.path, name);
  return [{ kind: "sensitive", from: [full], waitsFor: [full] }];
}

/** An interface whose link is down gets no address from the utility. */
function dropUnassigned(
  machine: Component,
  name: string,
  parameters: Record<string, readonly Element[]>,
): void {
  for (const field of ["ip", "subnet", "netmask"]) {
    const parameter = machine.parameters.get(`${name}.${field}`);
    if (parameter !== undefined && parameter.assigned === null) parameters[`${name}.${field}`] = [];
  }
}

/** A clear sensitive value never gets into a description. */
function withoutValues(elements: readonly Element[]): readonly Element[] {
  if (!elements.some((element) => typeof element !== "string" && element.kind === "sensitive"))
    return elements;
  return elements.map((element) =>
    typeof element !== "string" && element.kind === "sensitive"
      ? { kind: "sensitive", from: element.from, waitsFor: element.waitsFor }
      : element,
  );
}

function collectOrigins(context: BuildContext, machine: Component): Record<string, Origin> {
  const origins: Record<string, Origin> = { "": context.originOf(machine.declared) };
  for (const [name, { assigned }] of machine.parameters) {
    if (assigned !== null) origins[name] = context.originOf(assigned);
  }
  return origins;
}

function checkBounds(context: BuildContext, machine: Component, { description }: MachineImage): void {
  const { memoryBytes, cpus } = description;
  const name = displayPath(machine.path, context.tree.appliance);
  if (!(memoryBytes >= MEMORY_BYTES.least && memoryBytes <= MEMORY_BYTES.most)) {
    report(context, {
      code: "NETWORK_MEMORY_OUT_OF_BOUNDS",
      message: `the VM description of ${name} asks for ${Math.floor(memoryBytes / MIB)} MiB of memory, expected 16 MiB to 4 TiB`,
      place: placeOf(machine, "vm"),
      hint: "correct memory in the VM description and publish a new version",
    });
  }
  if (!(Number.isInteger(cpus) && cpus >= CPUS.least && cpus <= CPUS.most)) {
    report(context, {
      code: "NETWORK_CPUS_OUT_OF_BOUNDS",
      message: `the VM description of ${name} asks for ${cpus} CPUs, expected a whole number from 1 to 256`,
      place: placeOf(machine, "vm"),
      hint: "correct cpus in the VM description and publish a new version",
    });
  }
}
