/** "Did you mean": the declared name nearest to a misspelt one. */

const MAX_CANDIDATES = 5000;
const MAX_NAME_LENGTH = 64;

/** The candidate with the fewest edits, at most a third of the name's length; undefined when none is near. */
export function nearestName(name: string, candidates: Iterable<string>): string | undefined {
  if (name.length > MAX_NAME_LENGTH) return undefined;
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 1;
  let count = 0;
  for (const candidate of candidates) {
    count += 1;
    if (count > MAX_CANDIDATES) break;
    if (Math.abs(candidate.length - name.length) >= bestDistance) continue;
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** The hint with the nearest name, or with all names when they are few, or nothing. */
export function hintNearest(name: string, candidates: readonly string[]): string | undefined {
  const nearest = nearestName(name, candidates);
  if (nearest !== undefined) return `did you mean \`${nearest}\`?`;
  if (candidates.length === 0 || candidates.length > 12) return undefined;
  return `known here: ${candidates.map((candidate) => candidate.slice(0, MAX_NAME_LENGTH)).join(", ")}`;
}

/** Levenshtein distance, a swap of neighbours counting as two. */
function editDistance(left: string, right: string): number {
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const substitution =
        (previous[column - 1] ?? 0) + (left.charCodeAt(row - 1) === right.charCodeAt(column - 1) ? 0 : 1);
      current.push(Math.min(substitution, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[right.length] ?? 0;
}
