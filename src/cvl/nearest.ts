/** "Did you mean": the declared name nearest to a misspelt one. */

const MAX_CANDIDATES = 5000;
const MAX_WORD_LENGTH = 64;
/** Cells of the tables of one search: names that are all nearly alike would fill them without end. */
const MAX_CELLS = 500_000;

/** The candidate with the fewest edits, at most a third of the name's length; undefined when none is near. */
export function nearestName(name: string, candidates: Iterable<string>): string | undefined {
  if (name.length > MAX_WORD_LENGTH) return undefined;
  const wanted = name.toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 1;
  let count = 0;
  let cells = 0;
  for (const candidate of candidates) {
    count += 1;
    if (count > MAX_CANDIDATES || cells > MAX_CELLS) break;
    if (Math.abs(candidate.length - name.length) >= bestDistance) continue;
    cells += wanted.length * (2 * bestDistance - 1);
    const distance = editDistance(wanted, candidate.toLowerCase(), bestDistance - 1);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

const MAX_LISTED = 12;

/** The hint with the nearest name, or with all names when they are few, or nothing. */
export function hintNearest(name: string, candidates: Iterable<string>): string | undefined {
  const first: string[] = [];
  for (const candidate of candidates) {
    if (first.length === MAX_CANDIDATES) break;
    first.push(candidate);
  }
  const nearest = nearestName(name, first);
  if (nearest !== undefined) return `did you mean \`${nearest}\`?`;
  if (first.length === 0 || first.length > MAX_LISTED) return undefined;
  return `known here: ${first.map((candidate) => candidate.slice(0, MAX_WORD_LENGTH)).join(", ")}`;
}

/**
 * Levenshtein distance, a swap of neighbours counting as two; more than `most` is `most + 1`. Only the band of the table is
 * filled in which the distance can be that small.
 */
function editDistance(left: string, right: string, most: number): number {
  const tooFar = most + 1;
  let previous = Array.from({ length: right.length + 1 }, (_, index) => Math.min(index, tooFar));
  for (let row = 1; row <= left.length; row += 1) {
    const current = new Array<number>(right.length + 1).fill(tooFar);
    current[0] = Math.min(row, tooFar);
    let least = current[0];
    const last = Math.min(right.length, row + most);
    for (let column = Math.max(1, row - most); column <= last; column += 1) {
      const isSame = left.charCodeAt(row - 1) === right.charCodeAt(column - 1);
      const cell = Math.min(
        (previous[column - 1] ?? tooFar) + (isSame ? 0 : 1),
        (previous[column] ?? tooFar) + 1,
        (current[column - 1] ?? tooFar) + 1,
      );
      current[column] = cell;
      if (cell < least) least = cell;
    }
    if (least > most) return tooFar;
    previous = current;
  }
  return Math.min(previous[right.length] ?? tooFar, tooFar);
}
