/** The first lines of a comment, at most eight, the worst first: what a reviewer must have read. */
import { count, formatBytes } from "./format.ts";
import { escapeName } from "./escape-markdown.ts";
import { reservation } from "./render-terminal.ts";
import { placedActions, subjectOf, type PlacedAction, type PlannedNetwork } from "./markdown-model.ts";

/** Of the names in one line; the others are counted. */
const NAMES_LENGTH = 300;

/** The very first line of a comment that does not show `hidden` destructive changes. */
export function renderHidden(hidden: number, wholePlan: string): string {
  return `- **${hidden} more destructive changes not shown here**: ${wholePlan}`;
}

/** At most seven lines. */
export function renderHeadline(networks: readonly PlannedNetwork[]): readonly string[] {
  const actions = placedActions(networks);
  const isMany = networks.length > 1;
  const data = actions.filter(({ action }) => action.class === "data");
  const replaced = actions.filter(({ action }) => action.class === "replace");
  const of = (kind: string) =>
    actions.filter(({ action }) => action.kind === kind && action.class !== "data");
  const lines = [
    ...refusedLine(networks, isMany),
    ...line("Data", data, {
      isMany,
      words: (n) =>
        `${count(n, "change")} ${n === 1 ? "puts data aside or touches it" : "put data aside or touch it"}`,
    }),
    ...line("Replaced or removed", replaced, { isMany, words: (n) => count(n, "machine") }),
    ...restartLine({
      ...{ restarted: [...of("restart"), ...of("stop")], started: of("start"), resumed: of("resume") },
      isMany,
    }),
    ...line("Parameters", of("send-parameters"), {
      isMany,
      words: (n) => `${count(n, "machine")} told new ones, no restart`,
    }),
    ...outageLine(networks, isMany),
    ...fetchLine(networks),
  ];
  return (lines.length === 0 ? [nothingToDo(networks)] : lines).map((text) => `- ${text}`);
}

function nothingToDo(networks: readonly PlannedNetwork[]): string {
  const warnings = networks.flatMap(({ plan }) => plan?.warnings ?? []);
  const but = reservation({ warnings });
  return `**Nothing to do**${but === undefined ? ": no running network changes." : `${but}: see the warnings.`}`;
}

interface LineOptions {
  readonly isMany: boolean;
  readonly words: (count: number) => string;
}

function line(title: string, actions: readonly PlacedAction[], { isMany, words }: LineOptions): string[] {
  if (actions.length === 0) return [];
  return [
    `**${title}**: ${words(actions.length)}: ${listNames(actions.map((entry) => nameOf(entry, isMany)))}`,
  ];
}

function restartLine(options: {
  readonly restarted: readonly PlacedAction[];
  readonly started: readonly PlacedAction[];
  readonly resumed: readonly PlacedAction[];
  readonly isMany: boolean;
}): string[] {
  const { restarted, started, resumed, isMany } = options;
  const names = (entries: readonly PlacedAction[]): string =>
    listNames(entries.map((entry) => nameOf(entry, isMany)));
  const up = [
    ...(started.length === 0 ? [] : [`${count(started.length, "machine")} started`]),
    ...(resumed.length === 0 ? [] : [`${count(resumed.length, "machine")} resumed`]),
  ];
  if (restarted.length > 0) {
    const text = `**Restarted or stopped**: ${count(restarted.length, "machine")}: ${names(restarted)}`;
    return [[text, ...up].join("; ")];
  }
  if (up.length === 0) return [];
  return [
    `**${started.length === 0 ? "Resumed" : "Started"}**: ${up.join(", ")}: ${names([...started, ...resumed])}`,
  ];
}

function refusedLine(networks: readonly PlannedNetwork[], isMany: boolean): string[] {
  const broken = networks.filter(({ plan }) => plan === null);
  const refused = networks.flatMap(({ plan }) => plan?.refusals ?? []);
  const parts: string[] = [];
  if (broken.length > 0) {
    const names = listNames(broken.map(({ file }) => file));
    parts.push(
      isMany ? `${count(broken.length, "network")} cannot be planned: ${names}` : "it cannot be planned",
    );
  }
  if (refused.length > 0) parts.push(`${count(refused.length, "change")} refused`);
  return parts.length === 0 ? [] : [`**This cannot be applied**: ${parts.join("; ")}`];
}

function outageLine(networks: readonly PlannedNetwork[], isMany: boolean): string[] {
  const down = new Set<string>();
  for (const { file, plan } of networks) {
    if (plan === null) continue;
    for (const { component, dependents } of plan.forecast.outage) {
      for (const path of [component, ...dependents]) {
        const name = path === "" ? plan.appliance : path;
        down.add(isMany ? `${file}: ${name}` : name);
      }
    }
  }
  if (down.size === 0) return [];
  return [`**Out of service meanwhile**: ${count(down.size, "machine")}: ${listNames([...down])}`];
}

function fetchLine(networks: readonly PlannedNetwork[]): string[] {
  const forecasts = networks.flatMap(({ plan }) => plan?.forecast ?? []);
  const bytes = forecasts.reduce((sum, { fetchBytesTotal }) => sum + fetchBytesTotal, 0);
  const unknown = forecasts.reduce((sum, { fetchUnknown }) => sum + fetchUnknown.length, 0);
  if (bytes === 0 && unknown === 0) return [];
  const rest = unknown === 0 ? "" : ` and what ${count(unknown, "machine")} will need, which nobody counted`;
  return [`**To fetch**: ${formatBytes(bytes)}${rest}`];
}

function nameOf(entry: PlacedAction, isMany: boolean): string {
  return isMany ? `${entry.network.file}: ${subjectOf(entry)}` : subjectOf(entry);
}

/** As many as fit, and how many more there are. */
function listNames(names: readonly string[]): string {
  const shown: string[] = [];
  let length = 0;
  for (const name of names) {
    const text = escapeName(name);
    length += text.length + 2;
    if (length > NAMES_LENGTH && shown.length > 0) break;
    shown.push(text);
  }
  const rest = names.length - shown.length;
  return `${shown.join(", ")}${rest === 0 ? "" : ` and ${rest} more`}`;
}
