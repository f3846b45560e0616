/** Required parameters without a value: collected when a network is built, an error only when it is planned or started. */
import type { Diagnostic } from "../diagnostics.ts";
import type { BuildContext } from "./build-context.ts";
import type { MissingParameter, NetworkDescription } from "./description.ts";
import { joinPath } from "./paths.ts";
import { spanOf } from "./places.ts";

/**
 * What the utility assigns and what the user agent supplies is not missing, and a network without `vanIF` is isolated. A value
 * made from an unset parameter is not missing either: that parameter is.
 */
export function collectMissing(context: BuildContext): MissingParameter[] {
  const missing: MissingParameter[] = [];
  for (const component of context.tree.components.values()) {
    for (const [name, parameter] of component.parameters) {
      if (!parameter.required || parameter.elements.length > 0) continue;
      if (parameter.assignable || parameter.sensitive) continue;
      if (name === "vanIF" && component.kind === "network") continue;
      missing.push({
        parameter: joinPath(component.path, name),
        declared: context.originOf(parameter.declared),
        span: spanOf(parameter.declared),
      });
    }
  }
  return missing;
}

/** An error for each required parameter without a value; call it before anything is planned or started. */
export function requireComplete(network: NetworkDescription): Diagnostic[] {
  return network.missing.map(({ parameter, span }) => ({
    code: "NETWORK_PARAMETER_MISSING",
    severity: "error",
    message: `the required parameter ${parameter} has no value`,
    span,
    hint: `set it in ${network.appliance}: ${parameter} = "…";`,
  }));
}

/** An error for each network below the root: they are evaluated, checked and planned, but cannot be run yet. */
export function refuseNestedNetworks(network: NetworkDescription): Diagnostic[] {
  return network.nestedNetworks.map((path) => ({
    code: "NETWORK_NESTED_UNSUPPORTED",
    severity: "error",
    message: `${path} is a network inside the network ${network.appliance}, and networks inside networks cannot be started yet`,
    span: undefined,
    hint: "move its machines into the outer network; cui plan, cui diff and cui graph understand nested networks",
  }));
}
