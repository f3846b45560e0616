/** Who provides which service to whom, over all machines of the appliance and the networks they lie in. */
import type { Component, ComponentPath } from "../cvl/tree.ts";
import { placeOf, readKnown, report, type BuildContext } from "./build-context.ts";
import type { Requirement } from "./description.ts";
import { displayPath, parentPath } from "./paths.ts";

export interface Services {
  /** What each component itself requires and provides, without repetitions. */
  readonly requires: ReadonlyMap<ComponentPath, readonly string[]>;
  readonly provides: ReadonlyMap<ComponentPath, readonly string[]>;
  /** What must hold before a machine starts: its own requirements, then those of the networks around it. */
  readonly startsAfter: ReadonlyMap<ComponentPath, readonly Requirement[]>;
}

export function buildServices(context: BuildContext): Services {
  const requires = new Map<ComponentPath, readonly string[]>();
  const provides = new Map<ComponentPath, readonly string[]>();
  for (const component of context.tree.components.values()) {
    requires.set(component.path, unique(readKnown(context, component, "requires")));
    provides.set(component.path, unique(readKnown(context, component, "provides")));
  }
  const requirementFor = indexRequirements(provides);
  const isOpen = hasUnsetProvision(context);
  for (const component of context.tree.components.values()) {
    if (isOpen) break;
    for (const service of requires.get(component.path) ?? []) {
      if (!requirementFor.has(service)) reportUnprovided(context, component, service, requirementFor);
    }
  }
  return { requires, provides, startsAfter: collectRequirements(context, requires, requirementFor) };
}

/** What all machines wait for together, each with what the networks around it require. */
const MAX_REQUIREMENTS = 5_000_000;

/** What the networks around machines require is put together once for each network: most machines require nothing more. */
function collectRequirements(
  context: BuildContext,
  requires: ReadonlyMap<ComponentPath, readonly string[]>,
  requirementFor: ReadonlyMap<string, Requirement>,
): ReadonlyMap<ComponentPath, readonly Requirement[]> {
  const collected = new Map<ComponentPath, readonly Requirement[]>();
  const startsAfter = new Map<ComponentPath, readonly Requirement[]>();
  let count = 0;
  // Parents come before their children.
  for (const { path, kind, declared } of context.tree.components.values()) {
    const around = collected.get(parentPath(path) ?? path) ?? [];
    const own = (requires.get(path) ?? []).flatMap((service) => requirementFor.get(service) ?? []);
    const all = own.length === 0 ? around : unique([...own, ...around]);
    count += own.length === 0 && kind === "network" ? 0 : all.length;
    if (count > MAX_REQUIREMENTS) {
      const message = `all machines together may wait for at most ${MAX_REQUIREMENTS} services, those of the networks around them included`;
      report(context, { code: "CVL_LIMIT", message, place: declared });
      return new Map();
    }
    collected.set(path, all);
    if (kind === "machine") startsAfter.set(path, all);
  }
  return startsAfter;
}

/** Some component provides what is made from a required parameter without a value: it may be anything. */
function hasUnsetProvision({ tree }: BuildContext): boolean {
  for (const component of tree.components.values()) {
    const elements = component.parameters.get("provides")?.elements ?? [];
    if (elements.some((element) => typeof element !== "string" && element.kind === "unset")) return true;
  }
  return false;
}

/** One shared requirement for each service: 10,000 machines that need one of 10,000 providers hold the list once. */
function indexRequirements(
  provides: ReadonlyMap<ComponentPath, readonly string[]>,
): ReadonlyMap<string, Requirement> {
  const providers = new Map<string, ComponentPath[]>();
  for (const [path, services] of provides) {
    for (const service of services) {
      const found = providers.get(service);
      if (found === undefined) providers.set(service, [path]);
      else found.push(path);
    }
  }
  return new Map([...providers].map(([service, anyOf]) => [service, { service, anyOf }]));
}

function reportUnprovided(
  context: BuildContext,
  component: Component,
  service: string,
  provided: ReadonlyMap<string, Requirement>,
): void {
  const known = [...provided.keys()].slice(0, 5).map((name) => `"${name.slice(0, 40)}"`);
  report(context, {
    code: "NETWORK_REQUIREMENT_UNPROVIDED",
    severity: context.isPart === true ? "warning" : "error",
    message: `${displayPath(component.path, context.tree.appliance)} requires "${service.slice(0, 100)}", which no component provides`,
    place: placeOf(component, "requires"),
    hint: `add a component whose provides has it${known.length === 0 ? "" : `; provided here: ${known.join(", ")}`}`,
  });
}

function unique<Value>(values: readonly Value[]): readonly Value[] {
  return values.length < 2 ? values : [...new Set(values)];
}
