/** What there is to do, kind by kind, in one table: everything that words, draws or carries out an action reads it here. */

/** From harmless to severe; the class of a plan is that of its most severe action. */
export const ACTION_CLASSES = ["none", "parameters", "restart", "replace", "data"] as const;
export type ActionClass = (typeof ACTION_CLASSES)[number];

interface KindFacts {
  /** What an action of this kind is about. */
  readonly subject: "machine" | "segment" | "data-disk";
  /** Before it in a list on a terminal: comes, goes, changes, grows, is told. */
  readonly sign: "+" | "-" | "~" | "^" | ">" | " ";
  readonly colour: "green" | "red" | "magenta" | "yellow" | "blue" | "grey";
  /** Verb and object in lists of actions, on a terminal and in Markdown. */
  readonly words: string;
  /** In drawings, where that is too long. */
  readonly drawn?: string;
  /** Of a machine, before its name: in progress lines and in the journal. Without it the manager has no step for the kind. */
  readonly verb?: string;
  /** In the first line of a plan, after the number of subjects: `to replace`. */
  readonly ahead?: string;
  /** In the report of what was done, before the number of machines: `replaced`. */
  readonly done?: string;
  /** The machine is out of service while the action runs. */
  readonly takesDown?: true;
  /** The machine's program disks, kernel and initrd are on its host before anything is stopped. */
  readonly needsImage?: true;
  /** The image is not there yet, so that a plan counts its bytes. */
  readonly fetches?: true;
  /** What was there is gone or put aside afterwards: never left out of a comment. */
  readonly isDestructive?: true;
  /** Gone for good, not to come back by itself. */
  readonly isFinal?: true;
}

/** The most severe effect first; lists of several kinds have this order. */
const TABLE = {
  remove: {
    subject: "machine",
    sign: "-",
    colour: "red",
    words: "remove",
    verb: "remove",
    ahead: "to remove",
    done: "removed",
    takesDown: true,
    isDestructive: true,
    isFinal: true,
  },
  /** Follows the restart that lets go of the disk, which stays on its host. */
  "detach-data-disk": {
    subject: "data-disk",
    sign: "-",
    colour: "red",
    words: "detach data disk",
    ahead: "to detach",
    isDestructive: true,
    isFinal: true,
  },
  /** Stops, replaces program disks, starts. */
  replace: {
    subject: "machine",
    sign: "~",
    colour: "magenta",
    words: "replace",
    verb: "replace",
    ahead: "to replace",
    done: "replaced",
    takesDown: true,
    needsImage: true,
    fetches: true,
    isDestructive: true,
  },
  /** Stops and starts on the same program disks: another interface, another data disk. */
  restart: {
    subject: "machine",
    sign: "~",
    colour: "yellow",
    words: "restart",
    verb: "restart",
    ahead: "to restart",
    done: "restarted",
    takesDown: true,
    needsImage: true,
  },
  stop: {
    subject: "machine",
    sign: "-",
    colour: "red",
    words: "stop",
    verb: "stop",
    ahead: "to stop",
    takesDown: true,
  },
  start: {
    subject: "machine",
    sign: "+",
    colour: "green",
    words: "start",
    verb: "start",
    ahead: "to start",
    done: "started",
    needsImage: true,
    fetches: true,
  },
  /** Stood still because its host's disk was full. */
  resume: {
    subject: "machine",
    sign: ">",
    colour: "blue",
    words: "resume",
    verb: "resume",
    ahead: "to resume",
    done: "resumed",
  },
  "send-parameters": {
    subject: "machine",
    sign: ">",
    colour: "blue",
    words: "send parameters",
    drawn: "new parameters",
    verb: "send parameters to",
    ahead: "to be told new parameters",
    done: "sent parameters to",
  },
  /** Carried out between the stop and the start of the restart or replace that names it in `after`. */
  "resize-data-disk": { subject: "data-disk", sign: "^", colour: "yellow", words: "grow data disk" },
  "create-data-disk": { subject: "data-disk", sign: "+", colour: "green", words: "create data disk" },
  "create-segment": { subject: "segment", sign: "+", colour: "green", words: "create segment" },
  "remove-segment": { subject: "segment", sign: "-", colour: "red", words: "remove segment" },
  /** Nothing to do: done when `after` is; one name for many actions. */
  await: { subject: "machine", sign: " ", colour: "grey", words: "await" },
  /** Nothing to do: a version step that changes nothing that runs. */
  note: { subject: "machine", sign: " ", colour: "grey", words: "no change" },
} as const satisfies Readonly<Record<string, KindFacts>>;

export type ActionKind = keyof typeof TABLE;
type KindOf<Subject extends KindFacts["subject"]> = {
  [Kind in ActionKind]: (typeof TABLE)[Kind]["subject"] extends Subject ? Kind : never;
}[ActionKind];

export type MachineActionKind = KindOf<"machine">;
export type SegmentActionKind = KindOf<"segment">;
export type DataDiskActionKind = KindOf<"data-disk">;
/** The kinds for which the manager has a step. */
export type StepKind = {
  [Kind in ActionKind]: (typeof TABLE)[Kind] extends { readonly verb: string } ? Kind : never;
}[ActionKind];

export const ACTION_KINDS: Readonly<Record<ActionKind, KindFacts>> = TABLE;
export const MACHINE_ACTIONS = kindsOf("machine");
export const SEGMENT_ACTIONS = kindsOf("segment");
export const DATA_DISK_ACTIONS = kindsOf("data-disk");

/** The more severe of two classes. */
export function worse(a: ActionClass, b: ActionClass): ActionClass {
  return ACTION_CLASSES.indexOf(a) >= ACTION_CLASSES.indexOf(b) ? a : b;
}

/** Whether the manager does something for the action, which is then shown while it runs. */
export function hasStep(kind: ActionKind): kind is StepKind {
  return ACTION_KINDS[kind].verb !== undefined;
}

function kindsOf<Subject extends KindFacts["subject"]>(subject: Subject): readonly KindOf<Subject>[] {
  const kinds = Object.keys(TABLE) as ActionKind[];
  return kinds.filter((kind): kind is KindOf<Subject> => TABLE[kind].subject === subject);
}
