/** From places in CVL texts to what a diagnostic (offsets) and an action's reason (file and line) need. */
import type { SourceFile } from "../cvl/source.ts";
import type { Place } from "../cvl/tree.ts";
import type { Span } from "../diagnostics.ts";
import type { Origin } from "./description.ts";

export function spanOf(place: Place): Span {
  return { file: place.file.displayName, start: place.start, end: place.end };
}

/** Makes a function from places to origins that looks at each text once: a network of 10,000 machines asks 100,000 times. */
export function createOriginFinder(): (place: Place) => Origin {
  const lineStartsOf = new Map<SourceFile, readonly number[]>();
  return ({ file, start }) => {
    let lineStarts = lineStartsOf.get(file);
    if (lineStarts === undefined) {
      lineStarts = findLineStarts(file.text);
      lineStartsOf.set(file, lineStarts);
    }
    return { file: file.displayName, line: countUpTo(lineStarts, start) };
  };
}

function findLineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}

/** How many of the ascending `starts` are at most `offset`. */
function countUpTo(starts: readonly number[], offset: number): number {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((starts[middle] ?? Infinity) <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
