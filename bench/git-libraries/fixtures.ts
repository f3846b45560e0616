/** What a test begins with: a work tree of three versions, its commits and tags made by git's program and by isomorphic-git. */
import fs from "node:fs";
import path from "node:path";
import * as isomorphic from "isomorphic-git";
import { git, makeVersions, writeFiles } from "../../test/git/git-fixture.ts";
import type { Compare } from "../git-libraries.ts";
import { AUTHOR } from "./trees.ts";

export async function measureFixtures(folder: string, compare: Compare): Promise<void> {
  const at = (way: string, round: number): string => path.join(folder, `fixture-${way}-${round}`);
  await compare("fixture of three versions", [
    [
      "git",
      (round) => {
        makeVersions(at("git", round), versionsOf(round));
        return Promise.resolve();
      },
    ],
    ["isomorphic-git", (round) => makeWithLibrary(at("isomorphic", round), versionsOf(round))],
  ]);
  const first = at("git", 1);
  if (
    fs.existsSync(first) &&
    git(first, "rev-parse", "v3^{tree}") !== (await treeOfLibrary(at("isomorphic", 1)))
  )
    throw new Error("the two ways made different trees");
}

type Version = Readonly<Record<string, string>>;

/** Other content each time: what was made once is copied by the tests. */
function versionsOf(round: number): readonly Version[] {
  return [1, 2, 3].map((version) => ({
    "a.cvl": `version ${version} of ${round}`,
    "vm/a.yaml": `round: ${round}`,
    "notes.txt": `${version}`,
  }));
}

async function makeWithLibrary(dir: string, versions: readonly Version[]): Promise<void> {
  await isomorphic.init({ fs, dir, defaultBranch: "main" });
  for (const [index, files] of versions.entries()) {
    writeFiles(dir, files);
    await isomorphic.add({ fs, dir, filepath: "." });
    await isomorphic.commit({ fs, dir, message: `v${index + 1}`, author: AUTHOR });
    await isomorphic.tag({ fs, dir, ref: `v${index + 1}` });
  }
}

async function treeOfLibrary(dir: string): Promise<string> {
  const oid = await isomorphic.resolveRef({ fs, dir, ref: "v3" });
  return (await isomorphic.readCommit({ fs, dir, oid })).commit.tree;
}
