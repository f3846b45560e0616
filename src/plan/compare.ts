/** The differences of two descriptions of one machine, each as a reason with the line of CVL it comes from. */
import type { Source } from "../cvl/source.ts";
import type { Element } from "../cvl/tree.ts";
import { visible } from "../diagnostics.ts";
import { EXTERNAL_SEGMENT, type MachineDescription, type SegmentId } from "../network/description.ts";
import { joinPath } from "../network/paths.ts";
import { cut, formatBytes, formatElements, formatOrigin } from "./format.ts";
import type { Reason, VersionStep } from "./plan.ts";

/** Why the program disks must be replaced; empty when image and VM description are the same, whatever their version. */
export function compareImages(running: MachineDescription, wanted: MachineDescription): Reason[] {
  if (running.image.digest === wanted.image.digest) return [];
  const texts: string[] = [];
  const before = new Map(running.image.programDisks.map((disk) => [disk.device, disk.indexDigest]));
  for (const { device, indexDigest } of wanted.image.programDisks) {
    if (!before.has(device)) texts.push(`program disk ${device} added`);
    else if (before.get(device) !== indexDigest) texts.push(`program disk ${device} changed`);
    before.delete(device);
  }
  for (const device of before.keys()) texts.push(`program disk ${device} removed`);
  if (running.image.kernel?.oid !== wanted.image.kernel?.oid) texts.push("kernel changed");
  if (running.image.initrd?.oid !== wanted.image.initrd?.oid) texts.push("initrd changed");
  texts.push(...compareDescriptions(running, wanted));
  const place = formatOrigin(wanted.origins["vm"]);
  return (texts.length === 0 ? ["VM description changed"] : texts).map((text) => withPlace(text, place));
}

function compareDescriptions(running: MachineDescription, wanted: MachineDescription): string[] {
  const before = running.image.description;
  const after = wanted.image.description;
  const texts: string[] = [];
  if (before.memoryBytes !== after.memoryBytes)
    texts.push(`memory ${formatBytes(before.memoryBytes)} → ${formatBytes(after.memoryBytes)}`);
  const fields = ["arch", "cpus", "firmware", "cmdline", "nic", "ready", "parameters"] as const;
  for (const field of fields) {
    if (before[field] === after[field]) continue;
    texts.push(`${field} ${short(before[field])} → ${short(after[field])}`);
  }
  return texts;
}

/** Why the machine must be stopped and started: what a running machine cannot be given. */
export function compareInterfaces(running: MachineDescription, wanted: MachineDescription): Reason[] {
  const reasons: Reason[] = [];
  const before = new Map(Object.entries(running.interfaces));
  for (const [name, after] of Object.entries(wanted.interfaces)) {
    const old = before.get(name);
    before.delete(name);
    if (old === undefined) {
      reasons.push(withPlace(`interface ${name} added`, formatOrigin(wanted.origins[""])));
      continue;
    }
    if (old.segment !== after.segment) {
      const place = formatOrigin(wanted.origins["vanIF"]);
      reasons.push(
        withPlace(
          `interface ${name} moves from ${segmentName(old.segment)} to ${segmentName(after.segment)}`,
          place,
        ),
      );
    }
    if (!sameElements(old.mac, after.mac)) {
      const place = formatOrigin(wanted.origins[`${name}.mac`] ?? running.origins[`${name}.mac`]);
      reasons.push(withPlace(`MAC address of ${name}: ${change(old.mac, after.mac)}`, place));
    }
  }
  for (const name of before.keys()) reasons.push({ text: `interface ${name} removed` });
  return reasons;
}

/**
 * Parameters the guest must be told again. An unknown value is the same when it waits for the same assignments, which the
 * utility keeps, and the rest of its map is the same; a sensitive one unless `sensitiveChanged` says otherwise.
 */
export function compareParameters(
  running: MachineDescription,
  wanted: MachineDescription,
  sensitiveChanged: ReadonlySet<string> | undefined,
): Reason[] {
  const reasons: Reason[] = [];
  const isChanged = (full: string): boolean => sensitiveChanged?.has(full) === true;
  for (const [name, after] of Object.entries(wanted.parameters)) {
    if (isOfChangedInterface(name, running, wanted)) continue;
    const old = Object.hasOwn(running.parameters, name) ? (running.parameters[name] ?? []) : undefined;
    if (old !== undefined && sameElements(old, after) && !isSensitiveChange(name, after, wanted, isChanged))
      continue;
    if (old === undefined && after.length === 0) continue;
    const place = formatOrigin(own(wanted.origins, name) ?? own(running.origins, name));
    reasons.push(withPlace(`${name}: ${change(old ?? [], after)}`, place));
  }
  for (const [name, old] of Object.entries(running.parameters)) {
    if (Object.hasOwn(wanted.parameters, name) || old.length === 0) continue;
    if (isOfChangedInterface(name, running, wanted)) continue;
    reasons.push(withPlace(`${name}: ${change(old, [])}`, formatOrigin(own(running.origins, name))));
  }
  return reasons;
}

/** The version step of the program disks, else of the class. */
export function versionReason(
  running: MachineDescription,
  wanted: MachineDescription,
): { readonly reasons: readonly Reason[]; readonly versions: VersionStep | undefined } {
  const image = sourceStep(running.image.source, wanted.image.source, wanted.class);
  const step = image ?? sourceStep(running.source, wanted.source, wanted.class);
  if (step === undefined) return { reasons: [], versions: undefined };
  return {
    reasons: [withPlace(step.text, formatOrigin(wanted.origins[""]))],
    versions: step.versions,
  };
}

function sourceStep(
  before: Source,
  after: Source,
  name: string,
): { readonly text: string; readonly versions: VersionStep } | undefined {
  const versions = { from: before.version, to: after.version };
  if (before.version === null && after.version === null) return undefined;
  if (before.url !== after.url && before.version !== null && after.version !== null) {
    const [from, to] = [describeSource(before), describeSource(after)];
    return { text: `${name} from ${to} in place of ${from}`, versions };
  }
  if (before.version === after.version) return undefined;
  return { text: `${name} ${versionName(before)} → ${versionName(after)}`, versions };
}

function describeSource(source: Source): string {
  return `${cut(visible(source.url), 80)} ${versionName(source)}`;
}

function versionName({ version }: Source): string {
  return version === null ? "(working tree)" : `v${version}`;
}

/** Differences that change nothing that runs: they only matter for the order of later starts. */
export function compareRest(running: MachineDescription, wanted: MachineDescription): Reason[] {
  const reasons: Reason[] = [];
  if (running.class !== wanted.class)
    reasons.push(
      withPlace(`class ${running.class} is now called ${wanted.class}`, formatOrigin(wanted.origins[""])),
    );
  for (const field of ["requires", "provides"] as const) {
    if (sameElements(running[field], wanted[field])) continue;
    const place = formatOrigin(own(wanted.origins, field) ?? own(running.origins, field));
    reasons.push(withPlace(`${field}: ${change(running[field], wanted[field])}`, place));
  }
  return reasons;
}

function isSensitiveChange(
  name: string,
  elements: readonly Element[],
  machine: MachineDescription,
  isChanged: (full: string) => boolean,
): boolean {
  return elements.some(
    (element) =>
      typeof element !== "string" &&
      element.kind === "sensitive" &&
      (isChanged(joinPath(machine.path, name)) || element.from.some(isChanged)),
  );
}

/** Parameters of an interface that comes or goes are no news of their own. */
function isOfChangedInterface(
  name: string,
  running: MachineDescription,
  wanted: MachineDescription,
): boolean {
  const dot = name.indexOf(".");
  if (dot === -1) return false;
  const of = name.slice(0, dot);
  return Object.hasOwn(running.interfaces, of) !== Object.hasOwn(wanted.interfaces, of);
}

function sameElements(a: readonly Element[], b: readonly Element[]): boolean {
  return a.length === b.length && a.every((element, index) => sameElement(element, b[index]));
}

function sameElement(a: Element, b: Element | undefined): boolean {
  if (typeof a === "string" || typeof b === "string" || b === undefined) return a === b;
  // Whether a sensitive value was at hand when a side was described is no difference.
  if (a.kind === "sensitive") return b.kind === "sensitive" && sameStrings(a.from, b.from);
  if (!sameStrings(a.waitsFor, b.waitsFor)) return false;
  return a.kind === "unknown" ? b.kind === "unknown" && a.shape === b.shape : b.kind === "unset";
}

function sameStrings(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, index) => text === b[index]);
}

function change(before: readonly Element[], after: readonly Element[]): string {
  const [from, to] = [formatElements(before), formatElements(after)];
  return from === to ? `${to}, changed` : `${from} → ${to}`;
}

function segmentName(segment: SegmentId | null): string {
  if (segment === null) return "no segment";
  if (segment === EXTERNAL_SEGMENT) return "the external segment";
  return segment === "" ? "the root segment" : `the segment of ${segment}`;
}

function short(value: string | number | undefined): string {
  return value === undefined ? "(none)" : cut(visible(String(value)), 40);
}

function own<Value>(record: Readonly<Record<string, Value>>, key: string): Value | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

function withPlace(text: string, place: string | undefined): Reason {
  return place === undefined ? { text } : { text, place };
}
