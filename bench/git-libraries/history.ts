/** A commit in a clone, and one file of a commit: git's program beside isomorphic-git. */
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import * as isomorphic from "isomorphic-git";
import { buildBumpCommit } from "../../src/bump/commit.ts";
import { objectFiles } from "./object-files.ts";
import { openGitObjects } from "../../src/git/objects.ts";
import { commitFiles } from "../../src/git/tree.ts";
import { run } from "../../src/io.ts";
import { gitAt } from "../../test/git/git-fixture.ts";
import type { Compare } from "../git-libraries.ts";
import { AUTHOR, BRANCH, data, editsOf, editTree } from "./trees.ts";

export async function measureClone(folder: string, compare: Compare): Promise<void> {
  await measureBump(folder, compare);
  await measureOneFile(folder, compare);
}

async function measureBump(folder: string, compare: Compare): Promise<void> {
  const clone = await makeHistory(path.join(folder, "bump"), 100, 20_000);
  const gitdir = path.join(clone, ".git");
  const base = await isomorphic.resolveRef({ fs, gitdir, ref: "HEAD" });
  const files = (round: number): Map<string, string> =>
    new Map([
      ["appliances/a1/component.yaml", `a: ${round} ${Math.random()}\n`],
      ["appliances/a2/component.yaml", `a: ${round} ${Math.random()}\n`],
    ]);
  await compare("bump commit in a clone", [
    [
      "git: eight processes",
      (round) =>
        buildBumpCommit({
          git: gitAt(clone),
          base,
          files: files(round),
          subject: "s",
          body: "b",
          date: Date.now(),
        }),
    ],
    ["isomorphic-git, fsync and rename", (round) => bumpInProcess(gitdir, base, files(round), objectFiles)],
    ["isomorphic-git, no fsync", (round) => bumpInProcess(gitdir, base, files(round), fs)],
  ]);
}

async function bumpInProcess(
  gitdir: string,
  base: string,
  files: ReadonlyMap<string, string>,
  client: isomorphic.FsClient,
): Promise<string> {
  const at = { fs: client, gitdir, cache: {} };
  const { commit } = await isomorphic.readCommit({ ...at, oid: base });
  const tree = await editTree(at, commit.tree, editsOf(files));
  const made = { tree, parent: [base], author: AUTHOR, committer: AUTHOR, message: "s\n\nb\n" };
  return isomorphic.writeCommit({ ...at, commit: made });
}

async function measureOneFile(folder: string, compare: Compare): Promise<void> {
  const history = await makeHistory(path.join(folder, "history"), 1000, 1000);
  const large = await makeHistory(path.join(folder, "large"), 20, 5_000_000);
  for (const [title, clone] of [
    ["1,000 commits, packed", history],
    ["a pack of 100 MB", large],
  ] as const) {
    const gitdir = path.join(clone, ".git");
    const oid = await isomorphic.resolveRef({ fs, gitdir, ref: "HEAD" });
    const filepath = "appliances/a1/component.yaml";
    const warm = { fs, gitdir, cache: {} };
    await compare(`one file of a commit, ${title}`, [
      ["git: cat-file --batch-command", () => readWithCatFile(gitdir, oid, filepath)],
      ["isomorphic-git", () => isomorphic.readBlob({ fs, gitdir, cache: {}, oid, filepath })],
      ["isomorphic-git, pack in memory", () => isomorphic.readBlob({ ...warm, oid, filepath })],
    ]);
  }
  console.log(`memory after that: ${(process.memoryUsage().rss / 1048576).toFixed(0)} MiB resident`);
}

async function readWithCatFile(folder: string, commit: string, file: string): Promise<Buffer> {
  const objects = openGitObjects(gitAt(folder));
  try {
    return await commitFiles(objects, commit, "the bench").readFile(file, { maxBytes: 1e6 });
  } finally {
    await objects.close();
  }
}

/** A work tree with as many commits, each with a file of random bytes of that size; packed. */
async function makeHistory(clone: string, commits: number, sizeBytes: number): Promise<string> {
  await mkdir(clone, { recursive: true });
  const git = (args: readonly string[], input?: string | Uint8Array): Promise<string> =>
    run({ file: "git", args: ["-C", clone, ...args], ...(input === undefined ? {} : { input }) });
  await git(["init", "--quiet", "--initial-branch=main", "."]);
  const parts: Buffer[] = [];
  for (let index = 0; index < commits; index += 1) {
    parts.push(
      Buffer.from(`commit ${BRANCH}\ncommitter b <b@b> ${1_600_000_000 + index} +0000\n${data(`c${index}`)}`),
    );
    for (const name of ["a1", "a2", "a3"])
      parts.push(
        Buffer.from(`M 100644 inline appliances/${name}/component.yaml\n${data(`name: ${name} ${index}\n`)}`),
      );
    parts.push(
      Buffer.from(`M 100644 inline files/f${index}\ndata ${sizeBytes}\n`),
      randomBytes(sizeBytes),
      Buffer.from("\n"),
    );
  }
  await git(["fast-import", "--quiet"], Buffer.concat(parts));
  await git(["reset", "--quiet", "--hard"]);
  await git(["repack", "-adq"]);
  return clone;
}
