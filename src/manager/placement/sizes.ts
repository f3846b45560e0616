/** Sizes that no host has, also when nothing else runs there: refused with the figure and the largest host. */
import type { ComponentPath } from "../../cvl/tree.ts";
import { makeDiagnostic } from "../../diagnostics.ts";
import type { MachineId } from "../../host/host.ts";
import type { MachineDescription, NetworkDescription } from "../../network/description.ts";
import { displayPath } from "../../network/paths.ts";
import { formatBytes, formatOrigin } from "../../plan/format.ts";
import type { Action, PlanWarning, Refusal } from "../../plan/plan.ts";
import type { InventoryHost } from "../../site/inventory.ts";
import { memoryOf } from "./capacity.ts";
import type { ObservedHosts, ReachedHost } from "../observe/observe-hosts.ts";
import type { Placeable } from "./place.ts";

export interface SizeQuestion {
  readonly networkId: string;
  readonly wanted: NetworkDescription;
  /** Those that will be carried out. */
  readonly actions: readonly Action[];
  /** Machines that will be started, with the host each must be on. */
  readonly starting: readonly Placeable[];
  /** Machines that run and go on. */
  readonly staying: number;
  readonly observedHosts: ObservedHosts;
}

/** What a host has in all; undefined where nobody can say. */
interface HostSize {
  readonly name: string;
  readonly arch: string | undefined;
  readonly memoryBytes: number | undefined;
  readonly diskBytes: number | undefined;
}

interface Need {
  readonly what: string;
  readonly bytes: number;
  readonly of: "memoryBytes" | "diskBytes";
  readonly hint: string;
}

export function sizeRefusals(question: SizeQuestion): readonly Refusal[] {
  const sizes = hostSizes(question.observedHosts);
  const refusals = question.starting.flatMap((machine) => {
    const description = question.wanted.machines[machine.component];
    if (description === undefined) return [];
    const hosts = sizes
      .filter(({ name }) => machine.pinned === undefined || machine.pinned.host === name)
      .filter(({ arch }) => arch === undefined || arch === machine.arch);
    return needsOf(description, question).flatMap((need) => refusalOf(machine, need, hosts) ?? []);
  });
  return [...refusals, ...tooManyMachines(question)];
}

/** Data disks that may outgrow what is free on the host they come to: they are sparse, so that is no refusal. */
export function roomWarnings(
  { networkId, actions, wanted, observedHosts }: SizeQuestion,
  hosts: ReadonlyMap<ComponentPath, string>,
): readonly PlanWarning[] {
  const growing = actions.flatMap(({ kind, component, device }) => {
    const disk = wanted.machines[component ?? ""]?.dataDisks.find((candidate) => candidate.device === device);
    const host = hosts.get(component ?? "");
    if (
      (kind !== "create-data-disk" && kind !== "resize-data-disk") ||
      disk === undefined ||
      host === undefined
    )
      return [];
    const name = `${displayPath(component, wanted.appliance)}:${device}`;
    const taken = allocatedOf(observedHosts.reached.get(host), { networkId, component, device });
    return [{ host, component, name, bytes: disk.sizeBytes - taken }];
  });
  return [...Map.groupBy(growing, ({ host }) => host)].flatMap(([host, disks]) => {
    const free = observedHosts.reached.get(host)?.description.disk?.freeBytes;
    const sum = disks.reduce((total, { bytes }) => total + bytes, 0);
    if (free === undefined || sum <= free) return [];
    const [only] = disks;
    const names = disks.map(({ name, bytes }) => `${name} (${formatBytes(bytes)})`).join(", ");
    const message = `host ${host} has ${formatBytes(free)} free on its disk, less than what will be written at most to ${names}: machines there are paused when it is full`;
    return [disks.length === 1 && only !== undefined ? { component: only.component, message } : { message }];
  });
}

function hostSizes({ reached, missed }: ObservedHosts): readonly HostSize[] {
  return [
    ...[...reached.values()].map(({ entry, description }) => ({
      name: entry.name,
      arch: entry.arch ?? description.arch,
      memoryBytes: memoryOf(entry, description),
      diskBytes: description.disk?.totalBytes,
    })),
    ...[...missed.values()].map(({ entry }) => ({
      ...{ name: entry.name, arch: entry.arch, memoryBytes: entry.memoryBytes, diskBytes: undefined },
    })),
  ];
}

function needsOf(machine: MachineDescription, { wanted, actions }: SizeQuestion): readonly Need[] {
  const name = displayPath(machine.path, wanted.appliance);
  const at = (parameter: string): string => {
    const place = formatOrigin(machine.origins[parameter]);
    return place === undefined ? "" : ` (${place})`;
  };
  const memory = machine.image.description.memoryBytes;
  return [
    {
      what: `${name} needs ${formatBytes(memory)} of memory`,
      bytes: memory,
      of: "memoryBytes",
      hint: `lower memory in ${machine.image.descriptionFile}, or add a larger host with \`cui host add\``,
    },
    ...machine.image.programDisks.map(({ device, sizeBytes }) => ({
      what: `the program disk ${device} of ${name} has ${formatBytes(sizeBytes)}`,
      bytes: sizeBytes,
      of: "diskBytes" as const,
      hint: "publish it on a smaller disk, or add a larger host with `cui host add`",
    })),
    ...dataNeeds(machine, { actions, name, at: at("datadisks") }),
  ];
}

/** Each that is new or grows, else all together. A disk that lies on a host as large as it is was taken before. */
function dataNeeds(
  { path, dataDisks }: MachineDescription,
  { actions, name, at }: { readonly actions: readonly Action[]; readonly name: string; readonly at: string },
): readonly Need[] {
  const changed = dataDisks.filter(({ device }) =>
    actions.some(
      (action) =>
        (action.kind === "create-data-disk" || action.kind === "resize-data-disk") &&
        action.component === path &&
        action.device === device,
    ),
  );
  const rest = {
    of: "diskBytes" as const,
    hint: "ask for less in datadisks, or add a host with a larger disk with `cui host add`",
  };
  const single = changed.map(({ device, sizeBytes }) => ({
    ...rest,
    what: `the data disk ${device} of ${name} is to have ${formatBytes(sizeBytes)}${at}`,
    bytes: sizeBytes,
  }));
  const bytes = dataDisks.reduce((sum, disk) => sum + disk.sizeBytes, 0);
  if (changed.length === 0 || dataDisks.length === 1) return single;
  return [
    ...single,
    { ...rest, what: `the data disks of ${name} are to have ${formatBytes(bytes)} together${at}`, bytes },
  ];
}

function refusalOf(machine: Placeable, need: Need, hosts: readonly HostSize[]): Refusal | undefined {
  const [largest] = [...hosts].sort((a, b) => (b[need.of] ?? Infinity) - (a[need.of] ?? Infinity));
  const most = largest?.[need.of];
  if (largest === undefined || most === undefined || most >= need.bytes) return undefined;
  const size = `${formatBytes(most)}${need.of === "diskBytes" ? " on its file system" : ""}`;
  const has =
    machine.pinned === undefined
      ? `and no host has that much: the largest, ${largest.name}, has ${size}`
      : `and host ${largest.name}, where ${machine.pinned.reason}, has ${size}`;
  return tooLarge(`${need.what}, ${has}`, need.hint, machine.component);
}

function tooManyMachines({ starting, staying, observedHosts, wanted }: SizeQuestion): readonly Refusal[] {
  const entries: InventoryHost[] = [...observedHosts.reached.values(), ...observedHosts.missed.values()].map(
    ({ entry }) => entry,
  );
  const [largest] = [...entries].sort((a, b) => b.maxMachines - a.maxMachines || (a.name < b.name ? -1 : 1));
  const most = entries.reduce((sum, { maxMachines }) => sum + maxMachines, 0);
  const count = starting.length + staying;
  if (largest === undefined || starting.length === 0 || count <= most) return [];
  const together =
    entries.length === 1 ? "" : ` together; the largest, ${largest.name}, at most ${largest.maxMachines}`;
  const who = entries.length === 1 ? `host ${largest.name} runs` : `the ${entries.length} hosts run`;
  return [
    tooLarge(
      `${wanted.appliance} would have ${count} machines running, and ${who} at most ${most}${together}`,
      "raise `maxMachines` of a host in utility.yaml, or add a host with `cui host add`",
      undefined,
    ),
  ];
}

function tooLarge(message: string, hint: string, component: ComponentPath | undefined): Refusal {
  const diagnostic = makeDiagnostic("PLAN_TOO_LARGE", message, undefined, { hint });
  return component === undefined ? diagnostic : { ...diagnostic, component };
}

/** What a disk that grows has taken of its host's file system already. */
function allocatedOf(host: ReachedHost | undefined, disk: MachineId & { readonly device: string }): number {
  const found = host?.inventory.dataDisks.find(
    ({ id, device, inAttic }) =>
      !inAttic &&
      device === disk.device &&
      id.component === disk.component &&
      id.networkId === disk.networkId,
  );
  return found?.allocatedBytes ?? 0;
}
