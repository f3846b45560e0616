/** Which interface lies on which segment, and which one is its gateway. */
import type { Component, ComponentPath, Element } from "../cvl/tree.ts";
import { hasErrors } from "../diagnostics.ts";
import { placeOf, readKnown, report, type BuildContext } from "./build-context.ts";
import { EXTERNAL_SEGMENT, type SegmentId } from "./description.ts";
import { displayPath, joinPath, parentPath } from "./paths.ts";

/** Interfaces by their full names, `f.ethernet1`. */
export interface Topology {
  /** An interface that is absent lies on no segment. */
  readonly segmentOf: ReadonlyMap<string, SegmentId>;
  /** The gateway interface of a network's segment. */
  readonly gatewayOf: ReadonlyMap<ComponentPath, string>;
  /** The interface a network exports. */
  readonly exportOf: ReadonlyMap<ComponentPath, string>;
}

/** One reason why an interface lies on a segment. */
interface Attachment {
  readonly name: string;
  readonly segment: SegmentId;
  /** The component whose `vanIF` says so. */
  readonly by: Component;
}

export function buildTopology(context: BuildContext): Topology {
  const exportOf = new Map<ComponentPath, string>();
  const attachments = new Map<string, Attachment[]>();
  for (const component of context.tree.components.values()) {
    const name = readVanInterface(context, component);
    if (name === undefined) continue;
    if (component.kind === "network") exportOf.set(component.path, name);
    const segment = parentPath(component.path) ?? EXTERNAL_SEGMENT;
    const others = attachments.get(name);
    if (others === undefined) attachments.set(name, [{ name, segment, by: component }]);
    else others.push({ name, segment, by: component });
  }
  const segmentOf = settleAttachments(context, attachments);
  // A vanIF that is wrong may be what should have named it.
  if (!hasErrors(context.diagnostics)) reportUnattached(context, attachments);
  return { segmentOf, gatewayOf: findGateways(context, { segmentOf, exportOf, attachments }), exportOf };
}

/** The full name of the interface `vanIF` names; undefined when it is unset or wrong (then reported). */
function readVanInterface(context: BuildContext, component: Component): string | undefined {
  const names = readKnown(context, component, "vanIF");
  const [name] = names;
  if (name === undefined) return undefined;
  const owner = displayPath(component.path, context.tree.appliance);
  if (names.length > 1) {
    report(context, {
      code: "NETWORK_VANIF_LIST",
      message: `vanIF of ${owner} must name one interface, but it is a list of ${names.length}`,
      place: placeOf(component, "vanIF"),
    });
    return undefined;
  }
  const full = joinPath(component.path, name);
  if (component.kind === "machine" ? component.interfaces.includes(name) : isInterfaceBelow(context, full))
    return full;
  report(context, {
    code: "NETWORK_VANIF_NO_INTERFACE",
    message: `vanIF of ${owner} names "${name.slice(0, 100)}", which is no interface of ${component.kind === "machine" ? "it" : "a machine in it"}`,
    place: placeOf(component, "vanIF"),
    hint: interfaceHint(context, component),
  });
  return undefined;
}

function isInterfaceBelow({ tree }: BuildContext, full: string): boolean {
  const dot = full.lastIndexOf(".");
  const machine = dot === -1 ? undefined : tree.components.get(full.slice(0, dot));
  return machine?.kind === "machine" && machine.interfaces.includes(full.slice(dot + 1));
}

function interfaceHint({ tree }: BuildContext, component: Component): string {
  if (component.kind === "machine") return `its interfaces are ${component.interfaces.join(", ")}`;
  const examples: string[] = [];
  for (const child of component.children) {
    const machine = tree.components.get(child);
    if (machine?.kind !== "machine") continue;
    const name = child.slice(component.path === "" ? 0 : component.path.length + 1);
    for (const own of machine.interfaces) {
      if (own !== "ethernet0") examples.push(`"${name}.${own}"`);
    }
    if (examples.length > 3) break;
  }
  return examples.length === 0
    ? 'give one machine a second interface (Interface ethernet1;) and name it: vanIF = "f.ethernet1";'
    : `a network exports an interface of one of its machines, here ${examples.slice(0, 3).join(", ")}`;
}

function settleAttachments(
  context: BuildContext,
  attachments: ReadonlyMap<string, readonly Attachment[]>,
): Map<string, SegmentId> {
  const segmentOf = new Map<string, SegmentId>();
  for (const [name, [first, ...others]] of attachments) {
    if (first === undefined) continue;
    segmentOf.set(name, first.segment);
    for (const other of others) reportTwice(context, first, other);
  }
  return segmentOf;
}

function reportTwice(context: BuildContext, first: Attachment, second: Attachment): void {
  const bothExport = first.by.kind === "network" && second.by.kind === "network";
  const name = (component: Component): string => displayPath(component.path, context.tree.appliance);
  report(context, {
    code: bothExport ? "NETWORK_INTERFACE_EXPORTED_TWICE" : "NETWORK_INTERFACE_ON_TWO_SEGMENTS",
    message: bothExport
      ? `the interface ${first.name} is exported by two networks, ${name(first.by)} and ${name(second.by)}`
      : `the interface ${first.name} would lie on two segments, by vanIF of ${name(first.by)} and by vanIF of ${name(second.by)}`,
    place: placeOf(first.by, "vanIF"),
    hint: "an interface lies on one segment: declare another interface (Interface ethernet1;) and export that one",
    related: [{ message: `vanIF of ${name(second.by)}`, place: placeOf(second.by, "vanIF") }],
  });
}

/** One of an appliance alone may lie on the segment of a network that it becomes part of. */
function reportUnattached(context: BuildContext, attachments: ReadonlyMap<string, unknown>): void {
  if (context.isPart === true) return;
  for (const machine of context.tree.components.values()) {
    for (const name of machine.interfaces) {
      const full = joinPath(machine.path, name);
      if (attachments.has(full)) continue;
      report(context, {
        code: "NETWORK_INTERFACE_UNATTACHED",
        severity: "warning",
        message: `the interface ${full} lies on no segment: it is created with its link down`,
        place: machine.declared,
        hint: `name it in a vanIF: that of ${displayPath(machine.path, context.tree.appliance)}, or of a network around it`,
      });
    }
  }
}

interface Attached {
  readonly segmentOf: ReadonlyMap<string, SegmentId>;
  readonly exportOf: ReadonlyMap<ComponentPath, string>;
  readonly attachments: ReadonlyMap<string, readonly Attachment[]>;
}

function findGateways(context: BuildContext, attached: Attached): Map<ComponentPath, string> {
  const gatewayOf = new Map<ComponentPath, string>();
  const interfaceAt = indexAddresses(context, attached.segmentOf);
  for (const network of context.tree.components.values()) {
    if (network.kind !== "network") continue;
    const route = readDefaultRoute(context, network);
    const gateway =
      route === undefined
        ? exporterOn(context, network.path, attached)
        : gatewayOfRoute(context, network, route, { interfaceAt, attachments: attached.attachments });
    if (gateway !== undefined) gatewayOf.set(network.path, gateway);
  }
  return gatewayOf;
}

/** The one element of a network's `defaultroute`; undefined when it is unset, made from something unset, or wrong. */
function readDefaultRoute(context: BuildContext, network: Component): Element | undefined {
  const elements = network.parameters.get("defaultroute")?.elements ?? [];
  const [route] = elements;
  if (elements.length > 1) {
    report(context, {
      code: "NETWORK_DEFAULTROUTE_LIST",
      message: `defaultroute of ${displayPath(network.path, context.tree.appliance)} must be one address, but it is a list of ${elements.length}`,
      place: placeOf(network, "defaultroute"),
    });
    return undefined;
  }
  return typeof route === "object" && route.kind === "unset" ? undefined : route;
}

function gatewayOfRoute(
  context: BuildContext,
  network: Component,
  route: Element,
  indexes: {
    readonly interfaceAt: ReadonlyMap<string, string>;
    readonly attachments: ReadonlyMap<string, readonly Attachment[]>;
  },
): string | undefined {
  const known = typeof route === "string" ? indexes.interfaceAt.get(`${network.path} ${route}`) : undefined;
  if (known !== undefined) return known;
  if (typeof route === "string") {
    reportRoute(
      context,
      network,
      `is ${route.slice(0, 60)}, which is the address of no interface on its segment`,
    );
    return undefined;
  }
  const name = route.kind === "unknown" ? interfaceOfAddress(route.waitsFor) : undefined;
  if (name !== undefined && indexes.attachments.get(name)?.some(({ segment }) => segment === network.path))
    return name;
  const what =
    route.kind === "sensitive"
      ? "is sensitive"
      : name === undefined
        ? `is no address but made from ${route.waitsFor.join(", ")}`
        : `is the address of ${name}, which does not lie on its segment`;
  reportRoute(context, network, what);
  return undefined;
}

function reportRoute(context: BuildContext, network: Component, what: string): void {
  report(context, {
    code: "NETWORK_DEFAULTROUTE_ELSEWHERE",
    message: `defaultroute of ${displayPath(network.path, context.tree.appliance)} ${what}`,
    place: placeOf(network, "defaultroute"),
    hint: "set it to the inner address of the gateway: defaultroute = f.ethernet0.ip;",
  });
}

function interfaceOfAddress(waitsFor: readonly string[]): string | undefined {
  const [parameter] = waitsFor;
  return waitsFor.length === 1 && parameter?.endsWith(".ip") === true ? parameter.slice(0, -3) : undefined;
}

/** Without a `defaultroute` the machine whose interface is exported still is the way out: its own interface on the segment. */
function exporterOn({ tree }: BuildContext, network: ComponentPath, topology: Attached): string | undefined {
  const exported = topology.exportOf.get(network);
  const machinePath = exported === undefined ? undefined : parentPath(exported);
  const machine = machinePath === undefined ? undefined : tree.components.get(machinePath);
  return machine?.interfaces
    .map((name) => joinPath(machine.path, name))
    .find((name) => topology.segmentOf.get(name) === network);
}

/** Interfaces by "segment address", for a `defaultroute` whose value is known already. */
function indexAddresses(
  { tree }: BuildContext,
  segmentOf: ReadonlyMap<string, SegmentId>,
): ReadonlyMap<string, string> {
  const interfaceAt = new Map<string, string>();
  for (const [name, segment] of segmentOf) {
    const machine = tree.components.get(parentPath(name) ?? "");
    const [ip] = machine?.parameters.get(`${lastName(name)}.ip`)?.elements ?? [];
    if (typeof ip === "string") interfaceAt.set(`${segment} ${ip}`, name);
  }
  return interfaceAt;
}

function lastName(path: string): string {
  return path.slice(path.lastIndexOf(".") + 1);
}
