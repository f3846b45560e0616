/** A plan as a person reads it on a terminal: the worst first, every action with its reasons, then the forecast. */
import { visible } from "../diagnostics.ts";
import { EXTERNAL_SEGMENT } from "../network/description.ts";
import { displayPath, machineName } from "../network/paths.ts";
import { count, formatBytes, formatBytesChange, formatVersions } from "./format.ts";
import { ACTION_CLASSES, ACTION_KINDS, type ActionClass } from "./action-kinds.ts";
import type { Action, Plan } from "./plan.ts";

export interface TerminalOptions {
  /** ANSI colours; default none. */
  readonly colour?: boolean;
}

type Paint = (colour: keyof typeof COLOURS, text: string) => string;

const COLOURS = { red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, grey: 90, bold: 1 } as const;

/** The whole plan, without a newline at its end. No control character of a stranger's text gets through. */
export function renderPlan(plan: Plan, options: TerminalOptions = {}): string {
  const paint: Paint = (colour, text) =>
    options.colour === true ? `\u001b[${COLOURS[colour]}m${text}\u001b[0m` : text;
  const shown = plan.actions.filter((action) => action.kind !== "await");
  const lines = [`${paint("bold", visible(plan.appliance))}: ${summarize(plan)}`];
  if (shown.length > 0) lines.push("", ...renderActions(shown, plan, paint), "", ...renderForecast(plan));
  for (const text of noteTexts(plan)) lines.push(`${paint("blue", "note:")} ${visible(text)}`);
  for (const { message } of plan.warnings) lines.push(`${paint("yellow", "warning:")} ${visible(message)}`);
  for (const { code, message, hint } of plan.refusals) {
    lines.push(`${paint("red", "refused:")} ${code}: ${visible(message)}`);
    if (hint !== undefined) lines.push(`  hint: ${visible(hint)}`);
  }
  return lines.join("\n");
}

/** `1 machine to replace, 2 machines to be told new parameters (class replace)`. */
export function summarize(plan: Plan): string {
  const parts = Object.entries(ACTION_KINDS).flatMap(([kind, { subject, ahead }]) => {
    const number = plan.actions.filter((action) => action.kind === kind).length;
    return number === 0 || ahead === undefined
      ? []
      : [`${count(number, subject.replace("-", " "))} ${ahead}`];
  });
  const but = reservation(plan);
  if (parts.length === 0) return `nothing to do${but === undefined ? "" : `${but}: see the warnings`}`;
  return `${parts.join(", ")} (class ${plan.class})`;
}

/** Why a plan without actions does not say that all is well: ` as far as can be seen`. */
export function reservation({ warnings }: Pick<Plan, "warnings">): string | undefined {
  if (warnings.some(({ about }) => about === "unseen")) return " as far as can be seen";
  if (warnings.some(({ about }) => about === "paused")) return " by itself";
  return undefined;
}

/** `d, f: no data disk: …`. */
export function noteTexts({ notes = [], appliance }: Plan): readonly string[] {
  return notes.map(({ components, message }) => {
    return `${cutList(components.map((path) => displayPath(path, appliance)))}: ${message}`;
  });
}

function renderActions(actions: readonly Action[], plan: Plan, paint: Paint): string[] {
  const sorted = [...actions].sort((a, b) => rank(b.class) - rank(a.class));
  const rows = sorted.map((action) => ({
    action,
    ...ACTION_KINDS[action.kind],
    subject: subjectOf(action, plan),
  }));
  const wordWidth = Math.max(...rows.map((row) => row.words.length));
  const subjectWidth = Math.min(32, Math.max(...rows.map((row) => row.subject.length)));
  return rows.flatMap(({ action, sign, colour, words, subject }) => {
    const details = [
      action.versions === undefined ? "" : formatVersions(action.versions),
      fetchOf(action, plan),
      action.class === "none" ? "" : `class ${action.class}`,
    ].filter((text) => text !== "");
    const head = `${sign} ${words.padEnd(wordWidth)}  ${subject.padEnd(subjectWidth)}`;
    const line = `  ${paint(colour, head.trimEnd())}${" ".repeat(head.length - head.trimEnd().length)}  ${details.join(", ")}`;
    return [line.trimEnd(), ...action.reasons.map((reason) => renderReason(reason, paint))];
  });
}

function rank(actionClass: ActionClass): number {
  return ACTION_CLASSES.indexOf(actionClass);
}

function renderReason({ text, place }: Action["reasons"][number], paint: Paint): string {
  return `      ${visible(text)}${place === undefined ? "" : `  ${paint("grey", visible(place))}`}`;
}

function subjectOf(action: Action, plan: Plan): string {
  if (action.segment !== undefined) return segmentName(action.segment, plan);
  const path = displayPath(action.component, plan.appliance);
  return visible(action.device === undefined ? path : `${path}:${action.device}`);
}

function segmentName(segment: string, plan: Plan): string {
  return segment === EXTERNAL_SEGMENT ? "external" : visible(displayPath(segment, plan.appliance));
}

function fetchOf({ kind, component }: Action, { forecast }: Plan): string {
  if (component === undefined || ACTION_KINDS[kind].fetches !== true) return "";
  const bytes = Object.hasOwn(forecast.fetchBytes, component) ? forecast.fetchBytes[component] : undefined;
  return bytes === undefined ? "" : `fetch ${formatBytes(bytes)}`;
}

const MOST_OUTAGES = 10;

function renderForecast({ forecast }: Plan): string[] {
  const { fetchUnknown, outage } = forecast;
  const unknown =
    fetchUnknown.length === 0 ? "" : ` and what ${count(fetchUnknown.length, "machine")} will need`;
  const addresses = forecast.addressesChange;
  const lines = [
    `  fetch      ${formatBytes(forecast.fetchBytesTotal)}${unknown}`,
    `  memory     ${formatBytesChange(forecast.memoryBytesChange)}`,
    `  addresses  ${addresses === 0 ? "unchanged" : `${addresses > 0 ? "+" : ""}${addresses}`}`,
  ];
  if (outage.length === 0) return [...lines, "  outage     none"];
  const shown = listOutage(outage);
  return [...lines, ...shown.map((text, index) => `  ${index === 0 ? "outage " : "       "}    ${text}`)];
}

/** Machines others depend on have a line of their own, the rest share the last one. */
function listOutage(outage: Plan["forecast"]["outage"]): string[] {
  const down = new Set(outage.map(({ component }) => component));
  const needed: string[] = [];
  const alone: string[] = [];
  for (const { component, dependents } of outage) {
    const name = machineName(component);
    const others = dependents.filter((path) => !down.has(path));
    if (others.length === 0) alone.push(name);
    else needed.push(`${name}, which ${cutList(others)} ${others.length === 1 ? "needs" : "need"}`);
  }
  const shown = needed.slice(0, MOST_OUTAGES);
  if (needed.length > MOST_OUTAGES) shown.push(`and ${needed.length - MOST_OUTAGES} more that others need`);
  return alone.length === 0 ? shown : [...shown, cutList(alone)];
}

function cutList(names: readonly string[]): string {
  const more = names.length > MOST_OUTAGES ? ` and ${names.length - MOST_OUTAGES} more` : "";
  return `${names.slice(0, MOST_OUTAGES).join(", ")}${more}`;
}
