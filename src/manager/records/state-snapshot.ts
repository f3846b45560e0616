/** What is read of the state at one moment. */
import type { CollectiveError } from "../../errors.ts";

/** What the state holds at one revision. */
export interface StateSnapshot {
  /** Commit; null before the first one. */
  readonly revision: string | null;
  /** Text of each file by its path, `networks/office/network.json`. */
  readonly files: ReadonlyMap<string, string>;
  /**
   * What is there and cannot be read, with REPOSITORY_DAMAGED: files by path, folders by path and `/`; absent: nothing. All of it lies
   * below one network: what belongs to all of them is an error of `read`.
   */
  readonly damaged?: ReadonlyMap<string, CollectiveError>;
}

/** The text of a file; undefined when there is none. @throws CollectiveError REPOSITORY_DAMAGED: what cannot be read is not absent. */
export function textIn({ files, damaged }: StateSnapshot, file: string): string | undefined {
  for (const [place, error] of damaged ?? [])
    if (place === file || (place.endsWith("/") && file.startsWith(place))) throw error;
  return files.get(file);
}

/** The first thing below the folder `prefix` that cannot be read. */
export function damageBelow(
  { damaged = new Map() }: StateSnapshot,
  prefix: string,
): CollectiveError | undefined {
  return [...damaged].find(([place]) => place.startsWith(prefix) || prefix.startsWith(place))?.[1];
}
