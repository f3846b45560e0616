/**
 * Values that wait for what the utility never assigns: an address of an interface on no segment, a default route where there is
 * none. At a start they would be missing, or lists without elements.
 */
import type { Component, Element } from "../cvl/tree.ts";
import { placeOf, report, type BuildContext } from "./build-context.ts";
import { EXTERNAL_SEGMENT } from "./description.ts";
import { displayPath, joinPath, parentPath } from "./paths.ts";
import type { Topology } from "./topology.ts";

/** An appliance that becomes part of a network may get there what it lacks alone. */
export function checkNeverAssigned(context: BuildContext, topology: Topology): void {
  if (context.isPart === true) return;
  const reasons = new Map<string, string | undefined>();
  const reasonFor = (path: string): string | undefined => {
    if (!reasons.has(path)) reasons.set(path, whyNever(context, topology, path));
    return reasons.get(path);
  };
  for (const component of context.tree.components.values()) {
    for (const [name, { elements }] of component.parameters) {
      for (const element of elements)
        if (typeof element !== "string" && checkElement(context, component, { name, element }, reasonFor))
          break;
    }
  }
}

/** True when the element waits for something that never comes, which is reported. */
function checkElement(
  context: BuildContext,
  component: Component,
  { name, element }: { readonly name: string; readonly element: Exclude<Element, string> },
  reasonFor: (path: string) => string | undefined,
): boolean {
  const own = joinPath(component.path, name);
  for (const path of element.waitsFor) {
    const reason = path === own ? undefined : reasonFor(path);
    if (reason === undefined) continue;
    report(context, {
      code: "NETWORK_NEVER_ASSIGNED",
      message: `${joinPath(displayPath(component.path, context.tree.appliance), name)} is made from ${path}, which never has a value: ${reason}`,
      place: placeOf(component, name),
      hint: path.endsWith(".defaultroute")
        ? "take another value, or set it in CVL"
        : "name the interface in a vanIF, or set its address in CVL",
    });
    return true;
  }
  return false;
}

const NEEDS_SEGMENT: ReadonlySet<string> = new Set(["ip", "subnet", "netmask", "defaultroute"]);

/** Why the utility does not assign an interface's parameter that CVL leaves to it; undefined when it does. */
function whyNever({ tree }: BuildContext, topology: Topology, path: string): string | undefined {
  const interfaceName = parentPath(path) ?? "";
  const field = path.slice(interfaceName.length + 1);
  const machine = tree.components.get(parentPath(interfaceName) ?? "");
  const name = interfaceName.slice(interfaceName.lastIndexOf(".") + 1);
  if (machine?.parameters.get(`${name}.${field}`)?.assignable !== true) return undefined;
  const segment = topology.segmentOf.get(interfaceName);
  if (segment === undefined)
    return NEEDS_SEGMENT.has(field) ? `${interfaceName} lies on no segment` : undefined;
  if (field !== "defaultroute" || segment === EXTERNAL_SEGMENT) return undefined;
  if (topology.gatewayOf.get(segment) === interfaceName)
    return `${interfaceName} is the gateway of its own segment`;
  const route = tree.components.get(segment)?.parameters.get("defaultroute");
  if ((route?.elements.length ?? 0) > 0) return undefined;
  return `the network ${displayPath(segment, tree.appliance)}, on whose segment it lies, has no defaultroute`;
}
