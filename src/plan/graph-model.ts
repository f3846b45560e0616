/** A network as a drawing sees it: clusters with segments and machines, wires to segments, arrows to what is required. */
import type { ComponentPath } from "../cvl/tree.ts";
import {
  EXTERNAL_SEGMENT,
  type MachineDescription,
  type NetworkDescription,
  type SegmentId,
} from "../network/description.ts";
import { ancestorsOf, parentPath } from "../network/paths.ts";
import { hasStep, type ActionClass, type StepKind } from "./action-kinds.ts";
import type { Plan } from "./plan.ts";

export interface GraphModel {
  readonly appliance: string;
  /** The node of the external segment, when something lies on it. */
  readonly external: string | undefined;
  /** The root network, or a cluster without a segment around a root machine. */
  readonly root: GraphCluster;
  readonly wires: readonly GraphWire[];
  /** Node ids of the machines that are gateways. */
  readonly gateways: ReadonlySet<string>;
  readonly needs: readonly GraphNeed[];
}

export interface GraphCluster {
  readonly id: string;
  /** `Office`, `g`. */
  readonly name: string;
  /** `Office v2`, `g: Lab v1`. */
  readonly title: string;
  /** The node of its segment; undefined when no machine lies on it. */
  readonly segment: string | undefined;
  readonly machines: readonly GraphMachine[];
  readonly clusters: readonly GraphCluster[];
}

export interface GraphMachine {
  readonly id: string;
  readonly name: string;
  /** `Web v1`, `AcmeWeb, image v2`. */
  readonly detail: string;
  readonly isGateway: boolean;
  /** What the plan does to it. */
  readonly change: GraphChange | undefined;
}

export interface GraphChange {
  readonly kind: StepKind;
  readonly class: ActionClass;
}

/** An interface on a segment; both are node ids. */
export interface GraphWire {
  readonly machine: string;
  readonly segment: string;
  /** The interface, of a machine that has several. */
  readonly label: string;
  /** The segment is drawn above the machine, except for the gateway's own. */
  readonly isInner: boolean;
}

export interface GraphNeed {
  /** Node ids; of a network the id of its cluster. */
  readonly from: string;
  readonly to: string;
  /** Several providers, one of which suffices. */
  readonly isAlternative: boolean;
  readonly services: readonly string[];
}

/** With a plan machines carry what happens to them, and those that go are drawn as well. */
export function buildGraph(network: NetworkDescription, plan?: Plan): GraphModel {
  const ids = nameNodes(network, plan);
  const changes = new Map<ComponentPath, GraphChange>();
  for (const action of plan?.actions ?? []) {
    const { component, kind } = action;
    if (component !== undefined && hasStep(kind)) changes.set(component, { kind, class: action.class });
  }
  return {
    appliance: network.appliance,
    external: ids.get(`segment ${EXTERNAL_SEGMENT}`),
    root: buildClusters(network, { ids, changes }),
    wires: buildWires(network, ids),
    gateways: new Set([...gatewayPaths(network)].map((path) => ids.get(`machine ${path}`) ?? "")),
    needs: buildNeeds(network, ids),
  };
}

type NodeIds = ReadonlyMap<string, string>;

/** Ids a drawing language cannot misread, whatever the components are called: `m0`, `s0`, `n0`. */
function nameNodes(network: NetworkDescription, plan: Plan | undefined): NodeIds {
  const ids = new Map<string, string>();
  const machines = new Set(Object.keys(network.machines));
  for (const { kind, component } of plan?.actions ?? []) {
    if (kind === "remove") machines.add(component);
  }
  [...machines].forEach((path, index) => ids.set(`machine ${path}`, `m${index}`));
  Object.keys(network.segments).forEach((id, index) => ids.set(`segment ${id}`, `s${index}`));
  const clusters = new Set(["", ...Object.keys(network.networks)]);
  for (const path of machines) for (const at of ancestorsOf(path)) clusters.add(at);
  [...clusters].forEach((path, index) => ids.set(`network ${path}`, `n${index}`));
  return ids;
}

function buildClusters(
  network: NetworkDescription,
  { ids, changes }: { readonly ids: NodeIds; readonly changes: ReadonlyMap<ComponentPath, GraphChange> },
): GraphCluster {
  const machines = new Map<ComponentPath, GraphMachine[]>();
  const clusters = new Map<ComponentPath, GraphCluster[]>();
  const gateways = new Set(
    Object.values(network.segments).map((segment) => parentPath(segment.gateway ?? "")),
  );
  const paths = [...ids.keys()].filter((key) => key.startsWith("machine ")).map((key) => key.slice(8));
  for (const path of paths) {
    const machine = Object.hasOwn(network.machines, path) ? network.machines[path] : undefined;
    const change = changes.get(path);
    pushTo(machines, parentPath(path) ?? "", {
      id: ids.get(`machine ${path}`) ?? "",
      name: lastName(path, network.appliance),
      detail: machine === undefined ? "" : describeVersion(machine),
      isGateway: machine !== undefined && gateways.has(path),
      change: change === undefined ? undefined : { kind: change.kind, class: change.class },
    });
  }
  const deepestFirst = [...ids.keys()]
    .filter((key) => key.startsWith("network "))
    .map((key) => key.slice(8))
    .sort((a, b) => depthOf(b) - depthOf(a));
  let root: GraphCluster | undefined;
  for (const path of deepestFirst) {
    const cluster: GraphCluster = {
      id: ids.get(`network ${path}`) ?? "",
      name: lastName(path, network.appliance),
      title: clusterTitle(network, path),
      segment: ids.get(`segment ${path}`),
      machines: machines.get(path) ?? [],
      clusters: clusters.get(path) ?? [],
    };
    const parent = parentPath(path);
    if (parent === undefined) root = cluster;
    else pushTo(clusters, parent, cluster);
  }
  return (
    root ?? { id: "n0", name: "", title: network.appliance, segment: undefined, machines: [], clusters: [] }
  );
}

function gatewayPaths(network: NetworkDescription): ReadonlySet<ComponentPath> {
  const interfaces = Object.values(network.segments).flatMap(({ gateway }) => gateway ?? []);
  return new Set(interfaces.map((name) => parentPath(name) ?? ""));
}

function clusterTitle(network: NetworkDescription, path: ComponentPath): string {
  const component = Object.hasOwn(network.networks, path) ? network.networks[path] : undefined;
  if (path === "") return withVersion(network.appliance, component?.source.version ?? null);
  return component === undefined
    ? lastName(path, "")
    : `${lastName(path, "")}: ${withVersion(component.class, component.source.version)}`;
}

function describeVersion(machine: MachineDescription): string {
  const own = withVersion(machine.class, machine.source.version);
  const image = machine.image.source.version;
  return image === null || image === machine.source.version ? own : `${own}, image v${image}`;
}

function withVersion(name: string, version: number | null): string {
  return version === null ? name : `${name} v${version}`;
}

function buildWires(network: NetworkDescription, ids: NodeIds): GraphWire[] {
  const wires: GraphWire[] = [];
  for (const machine of Object.values(network.machines)) {
    for (const [name, { segment, isGateway }] of Object.entries(machine.interfaces)) {
      if (segment === null) continue;
      wires.push({
        machine: ids.get(`machine ${machine.path}`) ?? "",
        segment: nodeOfSegment(ids, segment),
        label: Object.keys(machine.interfaces).length > 1 ? name : "",
        isInner: isGateway,
      });
    }
  }
  return wires;
}

function nodeOfSegment(ids: NodeIds, segment: SegmentId): string {
  return ids.get(`segment ${segment}`) ?? "";
}

/** What a network requires is drawn once, from the network, not from each of its machines. */
function buildNeeds(network: NetworkDescription, ids: NodeIds): GraphNeed[] {
  const needs = new Map<string, { from: string; to: string; isAlternative: boolean; services: string[] }>();
  const requirements = new Map<string, readonly ComponentPath[]>();
  const add = (from: string, service: string): void => {
    const providers = requirements.get(service) ?? [];
    for (const provider of providers) {
      const to = ids.get(
        Object.hasOwn(network.machines, provider) ? `machine ${provider}` : `network ${provider}`,
      );
      if (to === undefined) continue;
      const key = `${from} ${to} ${providers.length > 1}`;
      const need = needs.get(key);
      if (need === undefined) {
        needs.set(key, { from, to, isAlternative: providers.length > 1, services: [service] });
      } else need.services.push(service);
    }
  };
  for (const machine of Object.values(network.machines)) {
    for (const { service, anyOf } of machine.startsAfter) requirements.set(service, anyOf);
  }
  for (const machine of Object.values(network.machines)) {
    const inherited = new Set(
      ancestorsOf(machine.path).flatMap((path) => network.networks[path]?.requires ?? []),
    );
    for (const service of machine.requires) {
      if (!inherited.has(service)) add(ids.get(`machine ${machine.path}`) ?? "", service);
    }
  }
  for (const [path, { requires }] of Object.entries(network.networks)) {
    for (const service of requires) add(ids.get(`network ${path}`) ?? "", service);
  }
  return [...needs.values()];
}

function pushTo<Value>(map: Map<string, Value[]>, key: string, value: Value): void {
  const found = map.get(key);
  if (found === undefined) map.set(key, [value]);
  else found.push(value);
}

function lastName(path: ComponentPath, root: string): string {
  return path === "" ? root : path.slice(path.lastIndexOf(".") + 1);
}

function depthOf(path: ComponentPath): number {
  return path === "" ? 0 : path.split(".").length;
}
