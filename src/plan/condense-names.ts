/** Long lists of names, shortened without losing one: `web1`…`web500`. */
import { escapeName, LONGEST_NAME } from "./escape-markdown.ts";

export interface CondensedNames {
  readonly text: string;
  /** How many names it stands for. */
  readonly count: number;
}

interface Numbered {
  readonly name: string;
  /** What stands before the number, and its width when it has leading zeros. */
  readonly series: string;
  readonly number: number;
}

/** Runs of consecutive numbers behind the same beginning become one entry; any other name stays one. */
export function condenseNames(names: readonly string[]): readonly CondensedNames[] {
  const sorted = names.map(readNumber).sort(compare);
  const entries: CondensedNames[] = [];
  for (let start = 0; start < sorted.length;) {
    const end = endOfRun(sorted, start);
    entries.push(renderRun(sorted, start, end));
    start = end;
  }
  return entries;
}

/** Two names side by side are no run: it would be no shorter. */
const SHORTEST_RUN = 3;

function renderRun(sorted: readonly Numbered[], start: number, end: number): CondensedNames {
  const first = escapeName(sorted[start]?.name ?? "");
  const last = escapeName(sorted[end - 1]?.name ?? "");
  const count = end - start;
  return { text: count === 1 ? first : `${first}…${last} (${count})`, count };
}

/** One past the last entry of the run that begins at `start`. */
function endOfRun(sorted: readonly Numbered[], start: number): number {
  let end = start + 1;
  for (; end < sorted.length; end += 1) {
    const before = sorted[end - 1];
    const here = sorted[end];
    if (before === undefined || here?.series !== before.series || here.number !== before.number + 1) break;
  }
  return end - start < SHORTEST_RUN ? start + 1 : end;
}

function readNumber(name: string): Numbered {
  const [, head = name, digits] = /^(.*?)(\d{1,9})$/s.exec(name) ?? [];
  // Of a name that is shown shortened nobody could tell the next one.
  if (digits === undefined || name.length > LONGEST_NAME) return { name, series: name, number: -1 };
  const width = digits.startsWith("0") && digits.length > 1 ? digits.length : 0;
  return { name, series: `${head}\0${width}`, number: Number(digits) };
}

function compare(a: Numbered, b: Numbered): number {
  if (a.series !== b.series) return a.series < b.series ? -1 : 1;
  return a.number - b.number;
}
