/** The root files of a site on two sides: which network of the one is which of the other. */
import { findNetwork } from "./network-id.ts";
import type { Inventory, InventoryNetwork } from "./inventory.ts";

export interface Root {
  /** Relative to the site. */
  readonly file: string;
  readonly object?: string | undefined;
}

/** One network; after a renaming its root is another one on each side. */
export interface RootPair {
  readonly base: Root;
  readonly head: Root;
  /** Written in an inventory, on the head's side when that has it. */
  readonly id?: string | undefined;
  /** Listed by the head's inventory: then its file must be there. */
  readonly isListed: boolean;
}

export interface RootLists {
  /** Undefined: no utility.yaml, or one with mistakes. */
  readonly base: Inventory | undefined;
  readonly head: Inventory | undefined;
  /** The CVL files of the folder on either side. */
  readonly listFiles: () => Promise<readonly string[]>;
}

/** The networks of both inventories, by their ids; where neither lists one, every CVL file of either side. */
export async function pairRoots({ base, head, listFiles }: RootLists): Promise<RootPair[]> {
  const before = base?.networks ?? [];
  const after = head?.networks ?? [];
  if (before.length + after.length === 0) {
    const files = [...new Set(await listFiles())].sort();
    return files.map((file) => ({ base: { file }, head: { file }, isListed: false }));
  }
  const renamed = new Map(before.map((network) => [network.id, network]));
  const pairs = after.map((network): RootPair => {
    const root = rootOf(network);
    const known = renamed.get(network.id);
    return { base: known === undefined ? root : rootOf(known), head: root, id: network.id, isListed: true };
  });
  const kept = new Set(after.map(({ id }) => id));
  const gone = before.filter(
    ({ id, file, object }) =>
      !kept.has(id) && (head === undefined || findNetwork(head, file, object) === undefined),
  );
  return [
    ...pairs,
    ...gone.map((network) => {
      const root = rootOf(network);
      return { base: root, head: root, id: network.id, isListed: false };
    }),
  ];
}

function rootOf({ file, object }: InventoryNetwork): Root {
  return object === undefined ? { file } : { file, object };
}
