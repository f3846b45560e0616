/** A state of which an object is damaged, read object by object: that costs the network it belongs to, and no other. */
import { CollectiveError } from "../../errors.ts";
import { damaged, damageIn, isDamage } from "../../git/damage.ts";
import { ownGit } from "../../git/own-repository.ts";
import { stderrOf } from "../../io.ts";
import type { StateSnapshot } from "./state-snapshot.ts";

type Read = Pick<StateSnapshot, "files" | "damaged">;

/** What is below `networks/<id>/`. */
const OF_ONE_NETWORK = /^networks\/[^/]+\/./;

/** @throws CollectiveError REPOSITORY_DAMAGED when what is damaged belongs to all networks: which there are would be a guess */
export async function readDamaged(directory: string, revision: string): Promise<Read> {
  const files = new Map<string, string>();
  const unreadable = new Map<string, CollectiveError>();
  const readFolder = async (oid: string, folder: string): Promise<void> => {
    for (const entry of await listFolder(directory, oid)) {
      const place = `${folder}${entry.name}${entry.kind === "tree" ? "/" : ""}`;
      try {
        if (entry.kind === "tree") await readFolder(entry.oid, place);
        else files.set(place, await readBlob(directory, entry.oid));
      } catch (error) {
        if (!isUnreadable(error)) throw error;
        const known = damaged(directory, `${place}: ${saidBy(error)}`, error);
        if (!OF_ONE_NETWORK.test(`${place}.`)) throw known;
        unreadable.set(place, known);
      }
    }
  };
  try {
    await readFolder(revision, "");
  } catch (error) {
    // One that says its place already is not wrapped again.
    if (error instanceof CollectiveError && error.code === "REPOSITORY_DAMAGED") throw error;
    throw isUnreadable(error) ? damaged(directory, saidBy(error), error) : error;
  }
  return { files, damaged: unreadable };
}

/** Also a tree or a commit, named by what is whole, that is not there. */
export function isUnreadable(error: unknown): boolean {
  return isDamage(error) || stderrOf(error).includes("not a tree object");
}

function saidBy(error: unknown): string {
  return damageIn(stderrOf(error)) ?? (error instanceof Error ? error.message : String(error));
}

interface Entry {
  readonly kind: string;
  readonly oid: string;
  readonly name: string;
}

function listFolder(directory: string, oid: string): Promise<readonly Entry[]> {
  return ownGit({
    directory,
    args: ["ls-tree", "-z", "--full-tree", oid],
    parse: (stdout) =>
      stdout
        .split("\0")
        .filter((line) => line !== "")
        .map((line) => {
          const [meta = "", name = ""] = line.split("\t");
          const [, kind = "", object = ""] = meta.split(" ");
          return { kind, oid: object, name };
        }),
  });
}

function readBlob(directory: string, oid: string): Promise<string> {
  return ownGit({ directory, args: ["cat-file", "blob", oid], parse: (stdout) => stdout });
}
