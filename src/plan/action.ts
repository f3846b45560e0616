/** Actions and their names: `replace w`, `create-data-disk w:vdb`, `create-segment .`; a dot is the root. */
import type { ComponentPath } from "../cvl/tree.ts";
import type { MachineDescription, SegmentId } from "../network/description.ts";
import type { MachineChange } from "./machine-change.ts";
import type { ActionKind, SegmentActionKind } from "./action-kinds.ts";
import type { Action, MachineAction } from "./plan.ts";

export function actionId(kind: ActionKind, path: ComponentPath, device?: string): string {
  return `${kind} ${path === "" ? "." : path}${device === undefined ? "" : `:${device}`}`;
}

export function segmentAction(kind: SegmentActionKind, segment: SegmentId, after: readonly string[]): Action {
  const text = kind === "create-segment" ? "machines will lie on it" : "no machine lies on it any more";
  return { id: actionId(kind, segment), kind, class: "none", segment, reasons: [{ text }], after };
}

/** One name for many actions: done when they are. */
export function barrier(name: string, after: readonly string[], component: ComponentPath): Action {
  return {
    id: `await ${name}`,
    kind: "await",
    class: "none",
    component,
    reasons: [{ text: `all of ${name}` }],
    after,
  };
}

/** The actions of one machine in order: its disks, itself, the disks it lets go of. */
export function actionsOf(
  change: MachineChange,
  {
    after,
    afterAny,
  }: { readonly after: readonly string[]; readonly afterAny?: readonly (readonly string[])[] },
): Action[] {
  const { path, kind } = change;
  const id = actionId(kind, path);
  const before = change.disks.filter((disk) => disk.kind !== "detach-data-disk");
  const later = change.disks.filter((disk) => disk.kind === "detach-data-disk");
  const diskAction = (disk: MachineChange["disks"][number], diskAfter: readonly string[]): Action => ({
    id: actionId(disk.kind, path, disk.device),
    kind: disk.kind,
    class: disk.class,
    component: path,
    device: disk.device,
    reasons: disk.reasons,
    after: diskAfter,
  });
  const disksBefore = before.map((disk) => diskAction(disk, []));
  const main: MachineAction = {
    id,
    kind,
    class: change.class,
    component: path,
    reasons: change.reasons,
    after: unique([...disksBefore.map((action) => action.id), ...after]),
    ...(afterAny === undefined || afterAny.length === 0 ? {} : { afterAny }),
    ...(change.versions === undefined ? {} : { versions: change.versions }),
    ...quantities(change),
  };
  return [...disksBefore, main, ...later.map((disk) => diskAction(disk, [id]))];
}

function quantities(change: MachineChange): Pick<MachineAction, "memoryBytesChange" | "addressesChange"> {
  if (change.kind === "stop") return {};
  const memory = memoryOf(change.wanted) - memoryOf(change.running);
  const addresses = addressesOf(change.wanted) - addressesOf(change.running);
  return {
    ...(memory === 0 ? {} : { memoryBytesChange: memory }),
    ...(addresses === 0 ? {} : { addressesChange: addresses }),
  };
}

function memoryOf(machine: MachineDescription | undefined): number {
  return machine?.image.description.memoryBytes ?? 0;
}

function addressesOf(machine: MachineDescription | undefined): number {
  return Object.values(machine?.interfaces ?? {}).filter(({ segment }) => segment !== null).length;
}

function unique(ids: readonly string[]): readonly string[] {
  return [...new Set(ids)];
}
