/** A network as a Graphviz graph; also what the SVG is made from. Every text is quoted or escaped, every id is our own. */
import { visible } from "../diagnostics.ts";
import type { NetworkDescription } from "../network/description.ts";
import { cut } from "./format.ts";
import { buildGraph, type GraphCluster, type GraphMachine, type GraphModel } from "./graph-model.ts";
import { describeChange, machineStyle, STYLES, type StyleName } from "./graph-style.ts";
import type { Plan } from "./plan.ts";

const FONT = "Helvetica,Arial,DejaVu Sans,sans-serif";

/** The text of a DOT file, without a newline at its end. With a plan, what happens to each machine is drawn in. */
export function renderDot(network: NetworkDescription, plan?: Plan): string {
  const graph = buildGraph(network, plan);
  return [
    "digraph collective {",
    `  graph [rankdir=TB, compound=true, newrank=true, nodesep=0.3, ranksep=0.45, pad=0.25, bgcolor="#ffffff", fontname=${quote(FONT)}, fontsize=13, fontcolor="#334155"];`,
    `  node [shape=box, style="filled,rounded", fontname=${quote(FONT)}, fontsize=11, margin="0.22,0.1", penwidth=1.2];`,
    `  edge [fontname=${quote(FONT)}, fontsize=9, color="#64748b", fontcolor="#475569", arrowsize=0.7];`,
    ...(graph.external === undefined
      ? []
      : [`  ${renderSegment(graph.external, "external", "external segment")}`]),
    ...renderCluster(graph.root, 1),
    ...renderWires(graph),
    ...renderNeeds(graph),
    "}",
  ].join("\n");
}

function renderCluster(cluster: GraphCluster, depth: number): string[] {
  const indent = "  ".repeat(depth);
  const { segment } = cluster;
  const fill = depth % 2 === 1 ? "#f8fafc" : "#eef2f7";
  const loose = cluster.machines.filter((machine) => machine.change?.kind === "remove");
  return [
    `${indent}subgraph cluster_${cluster.id} {`,
    `${indent}  graph [label=${quote(cluster.title)}, labeljust=l, style="filled,rounded", fillcolor="${fill}", color="#94a3b8", margin=16];`,
    ...(segment === undefined
      ? []
      : [`${indent}  ${renderSegment(segment, "segment", `segment of ${cluster.name}`)}`]),
    ...cluster.machines.map((machine) => `${indent}  ${renderMachine(machine)}`),
    // A machine that goes has no wire any more; it stays in the row of its neighbours.
    ...(segment === undefined ? [] : loose.map(({ id }) => `${indent}  ${segment} -> ${id} [style=invis];`)),
    ...cluster.clusters.flatMap((inner) => renderCluster(inner, depth + 1)),
    `${indent}}`,
  ];
}

function renderMachine(machine: GraphMachine): string {
  const lines = [machine.name, machine.detail];
  if (machine.isGateway) lines.push("gateway");
  if (machine.change !== undefined) lines.push(`[${describeChange(machine.change)}]`);
  const dashed = machine.change?.kind === "remove" ? ', style="filled,rounded,dashed"' : "";
  const label = lines.filter((line) => line !== "").map(quoted);
  const style = STYLES[machineStyle(machine.change, machine.isGateway)];
  return `${machine.id} [label="${label.join("\\n")}", ${colours(style)}${dashed}];`;
}

function renderSegment(id: string, style: "segment" | "external", label: string): string {
  return `${id} [label=${quote(label)}, ${colours(STYLES[style])}, style=filled, width=2.6, height=0.3, margin="0.25,0.05", fontsize=10];`;
}

function colours({ fill, border, text }: (typeof STYLES)[StyleName]): string {
  return `fillcolor="${fill}", color="${border}", fontcolor="${text}"`;
}

/** Wires run downwards: outer segment, gateway, inner segment, machines. Those of the gateways are the thick ones. */
function renderWires({ wires, gateways }: GraphModel): string[] {
  return wires.map(({ machine, segment, label, isInner }) => {
    const isMain = gateways.has(machine);
    const attributes = [
      "dir=none",
      isMain ? "penwidth=1.8" : 'penwidth=1, color="#b6c2d1"',
      `weight=${isMain ? 20 : 1}`,
      ...(label === "" ? [] : [`label=${quote(`    ${label} `)}`]),
    ];
    const [from, to] = isInner ? [machine, segment] : [segment, machine];
    return `  ${from} -> ${to} [${attributes.join(", ")}];`;
  });
}

/** Arrows point at the provider, which stands higher: machines start from above to below. One of several ways is dotted. */
function renderNeeds(graph: GraphModel): string[] {
  const anchors = anchorClusters(graph.root);
  return graph.needs.flatMap(({ from, to, isAlternative, services }) => {
    const [dependent, provider] = [anchors.get(from) ?? from, anchors.get(to) ?? to];
    if (dependent === "" || provider === "") return [];
    const attributes = [
      "dir=back",
      `style=${isAlternative ? "dotted" : "dashed"}`,
      'color="#7c3aed"',
      'fontcolor="#6d28d9"',
      `label=${quote(`   ${listServices(services)} `)}`,
      ...(anchors.has(to) ? [`ltail=cluster_${to}`] : []),
      ...(anchors.has(from) ? [`lhead=cluster_${from}`] : []),
    ];
    return [`  ${provider} -> ${dependent} [${attributes.join(", ")}];`];
  });
}

/** A node inside each cluster, since Graphviz draws edges between nodes; "" when there is none. */
function anchorClusters(root: GraphCluster): ReadonlyMap<string, string> {
  const anchors = new Map<string, string>();
  const visit = (cluster: GraphCluster): string => {
    const below = cluster.clusters.map(visit);
    const anchor = cluster.machines[0]?.id ?? cluster.segment ?? below.find((id) => id !== "") ?? "";
    anchors.set(cluster.id, anchor);
    return anchor;
  };
  visit(root);
  return anchors;
}

/** At most three services, each cut: a label is no list. */
export function listServices(services: readonly string[]): string {
  const shown = services.slice(0, 3).map((service) => cut(visible(service), 24));
  if (services.length > 3) shown.push(`${services.length - 3} more`);
  return shown.join(", ");
}

/**
 * A DOT string. Inside one a backslash begins an escape and an ampersand an entity; quotes end it. Nothing else means anything,
 * and none of the three is left to a stranger.
 */
function quote(text: string): string {
  return `"${quoted(text)}"`;
}

function quoted(text: string): string {
  return cut(visible(text), 100).replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("&", "&amp;");
}
