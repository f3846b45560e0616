/** The collapsed part of one network, in four richnesses: as rich as the comment's limit allows. */
import { condenseNames } from "./condense-names.ts";
import { ACTION_KINDS } from "./action-kinds.ts";
import { formatBytes, formatBytesChange, formatVersions } from "./format.ts";
import { escapeHtml, escapeName, escapeText, mermaidBlock } from "./escape-markdown.ts";
import { severityOf, isDestructive, subjectOf, type PlannedNetwork } from "./markdown-model.ts";
import type { Action, Plan } from "./plan.ts";
import { noteTexts, summarize } from "./render-terminal.ts";

/** What a level leaves out, each more than the one before. */
export interface Richness {
  readonly diagram: boolean;
  /** Of actions that are not destructive: each with its reasons, or lists of names, or numbers. */
  readonly others: "reasons" | "names" | "counts";
  readonly destructive: "reasons" | "names";
}

/** GitHub draws no diagram with more edges than 500. */
const MOST_EDGES = 400;
const LONGEST_DIAGRAM = 15_000;
const MOST_NOTES = 50;

/** The blocks of a network; an iterable, so that a renderer can stop when there is no room. */
export function* renderDetails(network: PlannedNetwork, richness: Richness): Iterable<string> {
  const { plan, file } = network;
  yield `<details><summary>${escapeHtml(file)}: ${plan === null ? "cannot be planned" : summarize(plan)}</summary>\n`;
  if (plan === null) yield* notes("", network.problems ?? []);
  else yield* renderPlanDetails(plan, richness);
  if (richness.diagram && plan !== null) yield* renderDiagram(network);
  yield "\n</details>";
}

/** The diagram, or why it is not there. */
export function* renderDiagram({ diagram }: PlannedNetwork): Iterable<string> {
  if (diagram === undefined) return;
  const edges = diagram.split("\n").filter((text) => /(---|-\.->| \.->)/.test(text)).length;
  if (edges > MOST_EDGES || diagram.length > LONGEST_DIAGRAM)
    yield "\nThe network is too large for a picture here.";
  else yield `\n${mermaidBlock(diagram)}`;
}

function* renderPlanDetails(plan: Plan, richness: Richness): Iterable<string> {
  const actions = plan.actions
    .filter(({ kind }) => kind !== "await")
    .sort((a, b) => severityOf(b) - severityOf(a));
  const destructive = actions.filter(isDestructive);
  const others = actions.filter((action) => !isDestructive(action));
  yield* notes(
    "**refused** ",
    plan.refusals.map(({ message }) => message),
  );
  if (richness.destructive === "reasons") for (const action of destructive) yield renderAction(action, plan);
  else yield* renderNames(destructive, plan);
  if (richness.others === "reasons") for (const action of others) yield renderAction(action, plan);
  else if (richness.others === "names") yield* renderNames(others, plan);
  else yield* renderCounts(others);
  yield* notes("**note** ", noteTexts(plan));
  yield* notes(
    "**warning** ",
    plan.warnings.map(({ message }) => message),
  );
  const { memoryBytesChange, addressesChange } = plan.forecast;
  const addresses =
    addressesChange === 0 ? "" : `, addresses ${addressesChange > 0 ? "+" : ""}${addressesChange}`;
  yield `\nMemory ${formatBytesChange(memoryBytesChange)}${addresses}. Input digest ${escapeText(plan.inputDigest.slice(0, 64))}`;
}

function renderAction(action: Action, plan: Plan): string {
  const facts = [
    action.versions === undefined ? "" : formatVersions(action.versions),
    fetchOf(action, plan),
    action.class === "none" ? "" : `class ${action.class}`,
  ].filter((text) => text !== "");
  const tail = facts.length === 0 ? "" : `, ${facts.join(", ")}`;
  const head = `- **${ACTION_KINDS[action.kind].words}** ${escapeName(subjectOf({ plan, action }))}${tail}`;
  const reasons = action.reasons.map(({ text, place }) => {
    return `  - ${escapeText(text)}${place === undefined ? "" : ` ${escapeText(place, 120)}`}`;
  });
  return [head, ...reasons].join("\n");
}

/** One line for all actions of one kind, class and version step. */
function* renderNames(actions: readonly Action[], plan: Plan): Iterable<string> {
  for (const [title, group] of groupByTitle(actions)) {
    const names = condenseNames(group.map((action) => subjectOf({ plan, action })));
    yield `- ${title}: ${names.map(({ text }) => text).join(", ")}`;
  }
}

function* renderCounts(actions: readonly Action[]): Iterable<string> {
  for (const [title, group] of groupByTitle(actions)) yield `- ${title}: ${group.length}`;
}

/** By `**replace** v1 → v2, class replace`, in the order they come. */
export function groupByTitle<Item extends Action>(
  actions: readonly Item[],
): ReadonlyMap<string, readonly Item[]> {
  const groups = new Map<string, Item[]>();
  for (const action of actions) {
    const versions = action.versions === undefined ? "" : formatVersions(action.versions);
    const step = versions === "" ? "" : ` ${versions}`;
    const title = `**${ACTION_KINDS[action.kind].words}**${step}${action.class === "none" ? "" : `, class ${action.class}`}`;
    const found = groups.get(title);
    if (found === undefined) groups.set(title, [action]);
    else found.push(action);
  }
  return groups;
}

function fetchOf({ kind, component }: Action, { forecast }: Plan): string {
  if (component === undefined || (kind !== "start" && kind !== "replace")) return "";
  const bytes = Object.hasOwn(forecast.fetchBytes, component) ? forecast.fetchBytes[component] : undefined;
  return bytes === undefined ? "" : `fetch ${formatBytes(bytes)}`;
}

function* notes(prefix: string, texts: readonly string[]): Iterable<string> {
  for (const text of texts.slice(0, MOST_NOTES)) yield `- ${prefix}${escapeText(text)}`;
  if (texts.length > MOST_NOTES) yield `- ${prefix}and ${texts.length - MOST_NOTES} more`;
}
