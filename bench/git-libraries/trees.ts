/** What the benchmarks of commits share: trees edited with isomorphic-git, and data for `git fast-import`. */
import * as isomorphic from "isomorphic-git";

export const BRANCH = "refs/heads/main";
export const AUTHOR = { name: "cui", email: "cui@localhost", timestamp: 1_700_000_000, timezoneOffset: 0 };

export type Edit = readonly [names: readonly string[], content: string];
export interface At {
  readonly fs: isomorphic.FsClient;
  readonly gitdir: string;
  readonly cache: object;
}

export function editsOf(files: ReadonlyMap<string, string>): Edit[] {
  return [...files].map(([file, content]) => [file.split("/"), content]);
}

export async function editTree(at: At, tree: string, edits: readonly Edit[]): Promise<string> {
  const before = (await isomorphic.readTree({ ...at, oid: tree })).tree;
  const entries = new Map(before.map((entry) => [entry.path, entry]));
  const changed = [...Map.groupBy(edits, ([names]) => names[0] ?? "")].map(async ([name, inside]) => {
    const [names = [], content = ""] = inside[0] ?? [];
    if (names.length === 1) {
      const oid = await isomorphic.writeBlob({ ...at, blob: Buffer.from(content) });
      return { mode: "100644", type: "blob", path: name, oid } as const;
    }
    const below = inside.map(([all, text]): Edit => [all.slice(1), text]);
    const oid = await editTree(at, entries.get(name)?.oid ?? "", below);
    return { mode: "040000", type: "tree", path: name, oid } as const;
  });
  for (const entry of await Promise.all(changed)) entries.set(entry.path, entry);
  return isomorphic.writeTree({ ...at, tree: [...entries.values()] });
}

export function data(text: string): string {
  return `data ${Buffer.byteLength(text)}\n${text}\n`;
}
