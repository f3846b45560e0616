/**
 * The form of a comment when nothing richer fits: destructive changes of all networks as compact lists, the most severe first, as
 * many as fit. How many there are is always exact, how many are not shown stands in the very first line, and a digest of the
 * whole list tells whether the plan elsewhere is the one meant.
 */
import { condenseNames } from "./condense-names.ts";
import { count } from "./format.ts";
import { escapeName } from "./escape-markdown.ts";
import { groupByTitle } from "./markdown-details.ts";
import { renderHidden } from "./markdown-headline.ts";
import {
  destructiveDigest,
  isDestructive,
  placedActions,
  subjectOf,
  type PlacedAction,
  type PlannedNetwork,
} from "./markdown-model.ts";
import type { Action } from "./plan.ts";

export interface CondensedOptions {
  readonly limit: number;
  readonly headline: readonly string[];
  readonly wholePlan: string;
}

/** Never longer than `limit`, which is at least ten thousand: the lines around the list are bounded, the list takes the rest. */
export function renderCondensed(
  networks: readonly PlannedNetwork[],
  { limit, headline, wholePlan }: CondensedOptions,
): string {
  const actions = placedActions(networks);
  const destructive = actions.filter(({ action }) => isDestructive(action));
  const others = actions.length - destructive.length;
  // The first line is reserved at its longest, whether it will be needed or not.
  const reserved = [renderHidden(destructive.length, wholePlan), ...headline];
  const foot = [
    "",
    `${count(networks.length, "network")}, ${count(destructive.length, "destructive change")}, ${count(others, "other")}.`,
    `SHA-256 of the list of all destructive changes: \`${destructiveDigest(networks)}\`. The whole plan: ${wholePlan}`,
  ];
  const room = limit - lengthOf(reserved) - lengthOf(foot) - LIST_TITLE.length - 2;
  const { lines, shown } = fill(destructive, room);
  const hidden = destructive.length - shown;
  return [
    ...(hidden === 0 ? [] : [renderHidden(hidden, wholePlan)]),
    ...headline,
    LIST_TITLE,
    ...lines,
    ...foot,
  ].join("\n");
}

const LIST_TITLE = "\n**Destructive changes**\n";

type Listed = Action & { readonly placed: PlacedAction };

/** Lines of at most `room` characters together, line ends counted, and how many actions they show. */
function fill(actions: readonly PlacedAction[], room: number): { lines: string[]; shown: number } {
  const lines: string[] = [];
  let left = room;
  let shown = 0;
  const groups = groupByTitle(actions.map((placed): Listed => ({ ...placed.action, placed })));
  for (const [title, group] of groups) {
    for (const [file, members] of groupByFile(group)) {
      let line = `- ${title} in ${escapeName(file)}: `;
      let separator = "";
      for (const { text, count: number } of condenseNames(members)) {
        // Worst first: the first that does not fit ends the list, so that nothing lighter is shown in its place.
        if (line.length + separator.length + text.length + 1 > left) {
          if (separator !== "") lines.push(line);
          return { lines, shown };
        }
        line += separator + text;
        separator = ", ";
        shown += number;
      }
      lines.push(line);
      left -= line.length + 1;
    }
  }
  return { lines, shown };
}

function groupByFile(group: readonly Listed[]): ReadonlyMap<string, readonly string[]> {
  const files = new Map<string, string[]>();
  for (const { placed } of group) {
    const { file } = placed.network;
    const found = files.get(file);
    if (found === undefined) files.set(file, [subjectOf(placed)]);
    else found.push(subjectOf(placed));
  }
  return files;
}

function lengthOf(lines: readonly string[]): number {
  return lines.reduce((sum, line) => sum + line.length + 1, 0);
}
