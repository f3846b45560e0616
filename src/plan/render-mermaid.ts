/** A network as a Mermaid flowchart, as forges draw it in Markdown. Ids are our own, texts are entity-coded. */
import { visible } from "../diagnostics.ts";
import type { NetworkDescription } from "../network/description.ts";
import { cut } from "./format.ts";
import { buildGraph, type GraphCluster, type GraphMachine } from "./graph-model.ts";
import { describeChange, machineStyle, STYLES, type StyleName } from "./graph-style.ts";
import type { Plan } from "./plan.ts";
import { listServices } from "./render-dot.ts";

/** The text of a diagram, without the fence and without a newline at its end. */
export function renderMermaid(network: NetworkDescription, plan?: Plan): string {
  const graph = buildGraph(network, plan);
  return [
    "flowchart TB",
    ...(graph.external === undefined ? [] : [`  ${graph.external}(["external segment"]):::external`]),
    ...renderCluster(graph.root, 1),
    ...graph.wires.map(({ machine, segment, label, isInner }) => {
      const [from, to] = isInner ? [machine, segment] : [segment, machine];
      return label === "" ? `  ${from} --- ${to}` : `  ${from} ---|"${encode(label)}"| ${to}`;
    }),
    ...graph.needs.map(
      ({ from, to, services }) => `  ${from} -. "${encode(listServices(services))}" .-> ${to}`,
    ),
    ...Object.keys(STYLES).map((name) => renderStyle(name as StyleName)),
  ].join("\n");
}

function renderCluster(cluster: GraphCluster, depth: number): string[] {
  const indent = "  ".repeat(depth);
  return [
    `${indent}subgraph ${cluster.id}["${encode(cluster.title)}"]`,
    ...(cluster.segment === undefined
      ? []
      : [`${indent}  ${cluster.segment}["segment of ${encode(cluster.name)}"]:::segment`]),
    ...cluster.machines.map((machine) => `${indent}  ${renderMachine(machine)}`),
    ...cluster.clusters.flatMap((inner) => renderCluster(inner, depth + 1)),
    `${indent}end`,
  ];
}

function renderMachine(machine: GraphMachine): string {
  const lines = [`<b>${encode(machine.name)}</b>`];
  if (machine.detail !== "") lines.push(encode(machine.detail));
  if (machine.isGateway) lines.push("gateway");
  if (machine.change !== undefined) lines.push(`<i>${encode(describeChange(machine.change))}</i>`);
  return `${machine.id}("${lines.join("<br/>")}"):::${machineStyle(machine.change, machine.isGateway)}`;
}

function renderStyle(name: StyleName): string {
  const { fill, border, text } = STYLES[name];
  return `  classDef ${name} fill:${fill},stroke:${border},color:${text}`;
}

/** Everything but plain characters as a numeric entity (`#59;`): no quote, bracket, tag, link or directive survives. */
function encode(text: string): string {
  return cut(visible(text), 100).replace(
    /[^A-Za-z0-9 ,._:/-]/gu,
    (character) => `#${character.codePointAt(0) ?? 0};`,
  );
}
