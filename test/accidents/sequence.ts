/** Sequences of commands and accidents, chosen by a seed. A step is plain data, so that it can be printed and left out. */
import { createRandom, type Random } from "./random.ts";
import { NETWORKS, type NetworkName } from "./world.ts";

/** What is not tried before the product can stand it: turned on by the change that makes it so. */
export const LEFT_OUT: Readonly<Record<"twoSitesAtOnce", boolean>> = {
  /** Two sites, each with its own state, that start at the same moment: nothing tells one what the other is about to take. */
  twoSitesAtOnce: true,
};

export const VERBS = ["start", "update", "stop", "remove", "status", "plan"] as const;
export type Verb = (typeof VERBS)[number];

export interface CommandStep {
  readonly kind: "command";
  readonly verb: Verb;
  readonly network: NetworkName;
  readonly latest: boolean;
  /** From the copy of the site's folder, where there is one. */
  readonly fromCopy: boolean;
  readonly interrupt: { readonly signal: NodeJS.Signals; readonly afterMs: number } | null;
  /** Begun at the same moment. */
  readonly twin: CommandStep | null;
}

export const ACCIDENTS = [
  "manager-killed",
  "manager-hangs",
  "libvirtd-killed",
  "machine-killed",
  "machine-paused",
  "disk-moved",
  "disk-copied",
  "folder-moved",
  "state-deleted",
  "state-damaged",
  "state-older",
  "site-copied",
  "cache-deleted",
  "cache-damaged",
  "images-deleted",
  "images-damaged",
  "host-full",
] as const;
export type AccidentKind = (typeof ACCIDENTS)[number];

export interface AccidentStep {
  readonly kind: AccidentKind;
  readonly host: number;
  /** Chooses among what is there when it happens. */
  readonly choice: number;
  /** It is undone after so many steps, at the latest in the end. */
  readonly steps: number;
}

export type Step = CommandStep | AccidentStep;

export interface Sequence {
  readonly seed: number;
  /** Two: the network Two belongs to a site of its own, with its own state. */
  readonly sites: 1 | 2;
  /** Everything is started in the end. */
  readonly startsInTheEnd: boolean;
  readonly steps: readonly Step[];
}

export function randomSequence(seed: number): Sequence {
  const random = createRandom(seed);
  const sites = random.chance(0.25) ? 2 : 1;
  const steps: Step[] = [];
  if (random.chance(0.85)) steps.push(plainCommand("start", random.chance(0.7) ? "One" : "Two"));
  const length = 2 + random.integer(5);
  for (let at = 0; at < length; at++)
    steps.push(random.chance(0.55) ? randomCommand(random, sites) : randomAccident(random));
  return { seed, sites, startsInTheEnd: random.chance(0.4), steps };
}

function plainCommand(verb: Verb, network: NetworkName): CommandStep {
  return { kind: "command", verb, network, latest: false, fromCopy: false, interrupt: null, twin: null };
}

function randomCommand(random: Random, sites: 1 | 2): CommandStep {
  const one = interrupted(random, randomVerb(random));
  if (!random.chance(0.15)) return one;
  const other = interrupted(random, randomVerb(random));
  const isApart = sites === 2 && one.network !== other.network;
  return { ...one, twin: isApart && LEFT_OUT.twoSitesAtOnce ? { ...other, network: one.network } : other };
}

function randomVerb(random: Random): CommandStep {
  const verb = random.pick([
    "start",
    "start",
    "start",
    "update",
    "update",
    "stop",
    "stop",
    "remove",
    "status",
    "plan",
  ] as const);
  return {
    ...plainCommand(verb, random.chance(0.65) ? "One" : random.pick(NETWORKS)),
    latest: random.chance(0.6),
    fromCopy: random.chance(0.5),
  };
}

function interrupted(random: Random, command: CommandStep): CommandStep {
  if (!random.chance(0.4)) return command;
  const signal = random.pick(["SIGINT", "SIGTERM", "SIGKILL", "SIGKILL"] as const);
  return { ...command, interrupt: { signal, afterMs: 200 + random.integer(3000) } };
}

function randomAccident(random: Random): AccidentStep {
  return {
    kind: random.pick(ACCIDENTS),
    host: random.integer(2),
    choice: random.integer(2 ** 31),
    steps: random.pick([1, 1, 2, 3, 99]),
  };
}

/** One line a step, to be read and to be told apart. */
export function describeStep(step: Step): string {
  if (step.kind !== "command") {
    const until = step.steps > 10 ? "to the end" : `for ${step.steps} step${step.steps === 1 ? "" : "s"}`;
    return `${step.kind} on host${step.host + 1} (${step.choice}) ${until}`;
  }
  const { verb, network, latest, fromCopy, interrupt, twin } = step;
  const parts = [`cui ${verb} ${network}.cvl`];
  if (verb === "update" && latest) parts.push("--latest");
  if (fromCopy) parts.push("in the copied folder");
  if (interrupt !== null) parts.push(`${interrupt.signal} after ${interrupt.afterMs} ms`);
  if (twin !== null) parts.push(`and at once: ${describeStep(twin)}`);
  return parts.join(", ");
}
