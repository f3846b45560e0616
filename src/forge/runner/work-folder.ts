/** Whether a folder may become a runner's, or is one already: nothing is put beside somebody's files. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { visible } from "../../diagnostics.ts";
import { CollectiveError } from "../../errors.ts";
import { namesIn } from "../../folder-names.ts";
import { MIRROR_HEAD, MIRROR_NAME } from "./site-mirror.ts";

/** All that a runner makes there, and what is left of it when it is killed meanwhile. */
const OWN = [/^lock$/, /^reported$/, /^\.reported\.[^/]+\.tmp$/, /^site\.git(\.new|\.lock)?$/];

/** At the root of a file system. */
const NOBODYS = "lost+found";

/** @throws CollectiveError RUNNER_FOLDER_NOT_EMPTY */
export async function requireWorkFolder(folder: string): Promise<void> {
  const names = (await namesIn(folder)).filter((name) => name !== NOBODYS);
  if (names.length === 0 || (await hasMirror(folder))) return;
  // The lock is made first. A `site.git` alone may be the very repository that is to be watched.
  const strange = names.includes("lock")
    ? names.find((name) => !OWN.some((own) => own.test(name)))
    : names[0];
  if (strange === undefined) return;
  throw new CollectiveError(
    "RUNNER_FOLDER_NOT_EMPTY",
    `${folder} is not empty, and not a runner's work folder: it has ${visible(strange)}`,
    {
      data: { folder },
      hint: "name a new folder with --dir, or leave it out: then there is one beside the state",
    },
  );
}

async function hasMirror(folder: string): Promise<boolean> {
  const head = path.join(folder, MIRROR_NAME, "HEAD");
  return (await readFile(head, "utf8").catch(() => "")) === MIRROR_HEAD;
}
