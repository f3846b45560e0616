/** What becomes of one machine: the change, its class, every reason. Compares two descriptions of it. */
import type { ComponentPath } from "../cvl/tree.ts";
import type { Diagnostic } from "../diagnostics.ts";
import type { MachineDescription } from "../network/description.ts";
import { compareDataDisks, newDataDisks, refuseLettingGo, type DiskChange } from "./data-disk-changes.ts";
import {
  compareImages,
  compareInterfaces,
  compareParameters,
  compareRest,
  versionReason,
} from "./compare.ts";
import { formatOrigin } from "./format.ts";
import { ACTION_KINDS, type ActionClass, type MachineActionKind } from "./action-kinds.ts";
import type { PlanFacts, Reason, VersionStep } from "./plan.ts";

export interface MachineChange {
  readonly path: ComponentPath;
  readonly running: MachineDescription | undefined;
  readonly wanted: MachineDescription | undefined;
  readonly kind: Exclude<MachineActionKind, "await">;
  readonly class: ActionClass;
  readonly reasons: readonly Reason[];
  readonly versions: VersionStep | undefined;
  readonly disks: readonly DiskChange[];
  readonly refusals: readonly Diagnostic[];
}

/** The change from `running` to `wanted`; undefined when nothing at all differs. At least one of them is given. */
export function changeMachine(
  running: MachineDescription | undefined,
  wanted: MachineDescription | undefined,
  facts: PlanFacts,
): MachineChange | undefined {
  if (wanted === undefined) return running === undefined ? undefined : removeMachine(running, facts);
  if (running === undefined) return startMachine(wanted, facts);
  return compareMachines(running, wanted, facts);
}

/** A machine that stays described and is stopped. */
export function stopMachine(running: MachineDescription): MachineChange {
  return {
    ...unchanged(running, undefined),
    kind: "stop",
    class: "restart",
    reasons: [{ text: "it is stopped; its data disks, addresses and place stay" }],
  };
}

function startMachine(wanted: MachineDescription, facts: PlanFacts): MachineChange {
  return {
    ...unchanged(undefined, wanted),
    kind: "start",
    class: "replace",
    reasons: [reason("declared, and not there yet", formatOrigin(wanted.origins[""]))],
    disks: newDataDisks(wanted, facts.existingDataDisks),
  };
}

function removeMachine(running: MachineDescription, facts: PlanFacts): MachineChange {
  const kept = running.dataDisks.map((disk) => disk.device).join(", ");
  return {
    ...unchanged(running, undefined),
    kind: "remove",
    class: running.dataDisks.length === 0 ? "replace" : "data",
    reasons: [
      reason("no longer declared", formatOrigin(running.origins[""])),
      ...(kept === "" ? [] : [{ text: `its data (${kept}) goes to the attic` }]),
    ],
    refusals: running.dataDisks.flatMap(({ device }) => refuseLettingGo(running, device, facts)),
  };
}

function compareMachines(
  running: MachineDescription,
  wanted: MachineDescription,
  facts: PlanFacts,
): MachineChange | undefined {
  const image = compareImages(running, wanted);
  const disks = compareDataDisks(running, wanted, facts);
  const interfaces = [...compareInterfaces(running, wanted), ...disks.reasons];
  const parameters = compareParameters(running, wanted, facts.sensitiveChanged);
  const stopped = facts.stopped?.has(wanted.path) === true;
  const paused = facts.paused?.get(wanted.path);
  const resumes = paused !== undefined && paused.resumes !== "never";
  const step = versionReason(running, wanted);
  const found = [
    ...(image.length > 0 ? step.reasons : []),
    ...image,
    ...interfaces,
    ...(stopped ? [{ text: "it is stopped" }] : []),
    ...(resumes ? [{ text: `it is paused: ${paused.why}` }] : []),
    ...parameters,
    ...(image.length > 0 ? [] : step.reasons),
    ...compareRest(running, wanted),
  ];
  if (found.length === 0 && disks.refusals.length === 0) return undefined;
  const restart = interfaces.length > 0 || stopped;
  const [kind, actionClass] =
    image.length > 0
      ? (["replace", "replace"] as const)
      : restart
        ? (["restart", "restart"] as const)
        : parameters.length > 0
          ? (["send-parameters", "parameters"] as const)
          : resumes
            ? (["resume", "none"] as const)
            : (["note", "none"] as const);
  const takesStart = stopped && kind !== "note";
  const starts = takesStart || ACTION_KINDS[kind].needsImage === true;
  return {
    ...unchanged(running, wanted),
    disks: disks.changes,
    refusals: [...disks.refusals, ...(starts ? disks.missing : [])],
    kind: takesStart ? "start" : kind,
    class: actionClass,
    reasons: limit(found),
    versions: step.versions,
  };
}

function unchanged(
  running: MachineDescription | undefined,
  wanted: MachineDescription | undefined,
): MachineChange {
  const from = running?.image.source.version ?? null;
  const to = wanted?.image.source.version ?? null;
  return {
    path: (wanted ?? running)?.path ?? "",
    running,
    wanted,
    kind: "note",
    class: "none",
    reasons: [],
    versions: from === null && to === null ? undefined : { from, to },
    disks: [],
    refusals: [],
  };
}

function reason(text: string, place: string | undefined): Reason {
  return place === undefined ? { text } : { text, place };
}

const MOST_REASONS = 20;

function limit(reasons: readonly Reason[]): readonly Reason[] {
  if (reasons.length <= MOST_REASONS) return reasons;
  return [...reasons.slice(0, MOST_REASONS), { text: `and ${reasons.length - MOST_REASONS} more` }];
}
