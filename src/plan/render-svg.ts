/** A network as an SVG picture, drawn by Graphviz as WebAssembly: no program, no file, no network. */
import { CollectiveError } from "../errors.ts";
import type { NetworkDescription } from "../network/description.ts";
import type { Plan } from "./plan.ts";
import { renderDot } from "./render-dot.ts";

/** Beyond this the layout takes minutes, and nobody sees anything in it. */
const MOST_MACHINES = 300;
const MOST_REQUIREMENTS = 3000;

/** @throws CollectiveError GRAPH_TOO_LARGE when the network has too many machines or requirements for a picture. */
export async function renderSvg(network: NetworkDescription, plan?: Plan): Promise<string> {
  const machines = Object.values(network.machines);
  const requirements = machines
    .flatMap((machine) => machine.startsAfter)
    .reduce((total, requirement) => total + requirement.anyOf.length, 0);
  if (machines.length > MOST_MACHINES || requirements > MOST_REQUIREMENTS) {
    throw new CollectiveError(
      "GRAPH_TOO_LARGE",
      `the network has ${machines.length} machines with ${requirements} requirements; a picture shows at most ${MOST_MACHINES} and ${MOST_REQUIREMENTS}`,
      { hint: "use --format dot or mermaid, or draw a part: an appliance with fewer components" },
    );
  }
  const { instance } = await import("@viz-js/viz");
  const viz = await instance();
  return viz.renderString(renderDot(network, plan), { format: "svg" });
}
