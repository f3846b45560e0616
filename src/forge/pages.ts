/** Lists of GitHub as a whole, bounded. */
import { CollectiveError } from "../errors.ts";

/** GitHub itself allows 2,500 comments on a pull request. */
const MAXIMUM_ITEMS = 10_000;

/**
 * All items of `pages` (from `forge.paginate.iterator`, 100 a page); `what` names them in the error.
 * @throws CollectiveError FORGE_TOO_MANY_RESULTS past `maximum`.
 */
export async function collectPages<Item>(
  pages: AsyncIterable<{ readonly data: readonly Item[] }>,
  what: string,
  maximum = MAXIMUM_ITEMS,
): Promise<Item[]> {
  const items: Item[] = [];
  for await (const { data } of pages) {
    items.push(...data);
    if (items.length > maximum) {
      throw new CollectiveError("FORGE_TOO_MANY_RESULTS", `expected at most ${maximum} ${what}, got more`, {
        hint: "looking at a part only could make things twice; remove some by hand",
      });
    }
  }
  return items;
}
