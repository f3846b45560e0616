/** Who provides which service to whom, over all machines of the appliance and the networks they lie in. */
import type { Component, ComponentPath } from "../cvl/tree.ts";
import { placeOf, readKnown, report, type BuildContext } from "./build-context.ts";
import type { Requirement } from "./description.ts";
import { ancestorsOf, displayPath } from "./paths.ts";

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
  const startsAfter = new Map<ComponentPath, readonly Requirement[]>();
  for (const component of context.tree.components.values()) {
    const own = requires.get(component.path) ?? [];
    for (const service of own) {
      if (!requirementFor.has(service)) reportUnprovided(context, component, service, requirementFor);
    }
    if (component.kind !== "machine") continue;
    const services = unique(
      [component.path, ...ancestorsOf(component.path)].flatMap((at) => requires.get(at) ?? []),
    );
    startsAfter.set(
      component.path,
      services.flatMap((service) => requirementFor.get(service) ?? []),
    );
  }
  return { requires, provides, startsAfter };
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

function unique(values: readonly string[]): readonly string[] {
  return values.length < 2 ? values : [...new Set(values)];
}
