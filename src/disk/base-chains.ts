/** The chunks a delta needs, its bases and theirs, within the limits that bound the memory and time of a read. */
import { MAX_BASES, MAX_CHAIN, MAX_CLOSURE, type Codec } from "./format.ts";
import type { ChunkDigest } from "./object-store.ts";

/** As much of a chunk as chains are made of. */
interface Link {
  readonly digest: ChunkDigest;
  readonly codec: Codec;
  readonly bases: readonly ChunkDigest[];
}

export interface Chain {
  /** Everything needed to decode the chunk, itself left out. */
  readonly needed: ReadonlySet<ChunkDigest>;
  /** Those of them that `find` does not know. */
  readonly missing: readonly ChunkDigest[];
}

/**
 * Follows the bases of `start`.
 * @param find the chunk with that digest
 * @param fail makes the error to throw for a cycle, a wrong number of bases or a limit exceeded
 */
export function followBases(
  start: Link,
  find: (digest: ChunkDigest) => Link | undefined,
  fail: (message: string) => Error,
): Chain {
  const depths = new Map<ChunkDigest, number>();
  const missing: ChunkDigest[] = [];
  const visit = (link: Link, path: readonly ChunkDigest[]): number => {
    if (path.includes(link.digest)) throw fail(`the bases of chunk ${start.digest} form a cycle`);
    const different = new Set(link.bases).size;
    if (
      (link.codec === "delta") !== different > 0 ||
      different > MAX_BASES ||
      different !== link.bases.length
    ) {
      throw fail(
        `chunk ${link.digest} is ${link.codec} with ${link.bases.length} bases, ${different} different`,
      );
    }
    const below = [...path, link.digest];
    let depth = 0;
    for (const base of link.bases) {
      const found = find(base);
      if (found === undefined && !depths.has(base)) missing.push(base);
      const known =
        depths.get(base) ?? (found === undefined || below.length > MAX_CHAIN ? 0 : visit(found, below));
      depth = Math.max(depth, known + 1);
      depths.set(base, known);
      if (depth + path.length > MAX_CHAIN) {
        throw fail(`the bases of chunk ${start.digest} form a chain of more than ${MAX_CHAIN}`);
      }
      if (depths.size >= MAX_CLOSURE) {
        throw fail(`chunk ${start.digest} needs more than ${MAX_CLOSURE} chunks to be decoded`);
      }
    }
    return depth;
  };
  visit(start, []);
  return { needed: new Set(depths.keys()), missing };
}
