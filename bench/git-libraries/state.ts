/** Writing and reading the state: git's program beside isomorphic-git. */
import { createHash } from "node:crypto";
import fs from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import { deflateSync, inflateSync } from "node:zlib";
import * as isomorphic from "isomorphic-git";
import { ensureOwnRepository, ownGit, readOwnBranch } from "../../src/git/own-repository.ts";
import { run, writeFileAtomically } from "../../src/io.ts";
import type { Compare } from "../git-libraries.ts";
import { objectFiles } from "./object-files.ts";
import { commitToOwnBranch, readOwnFolders, type OwnFolders } from "./own-commits.ts";
import { AUTHOR, BRANCH, data, editsOf, editTree, type Edit } from "./trees.ts";

export async function measureState(folder: string, compare: Compare): Promise<void> {
  for (const count of [5, 50, 500]) {
    await measureStateWrite(folder, compare, count);
    await measureStateRead(folder, compare, count);
  }
}

interface Own {
  readonly directory: string;
  head: string;
}

async function measureStateWrite(folder: string, compare: Compare, count: number): Promise<void> {
  const repositories = await Promise.all(
    ["git", "asked", "plain", "durable", "memory", "alone"].map(async (name) => {
      const directory = path.join(folder, `state-${count}-${name}.git`);
      await makeState(directory, count);
      await unpack(directory);
      return { directory, head: await readHead(directory) };
    }),
  );
  const [ours, asked, plain, durable, inMemory, alone] = repositories as [Own, Own, Own, Own, Own, Own];
  const memory = { ...inMemory, folders: await readOwnFolders(inMemory.directory, inMemory.head) };
  const step = (round: number): Map<string, string> =>
    new Map([0, 1, 2].map((index) => [stateFile(count - 1 - index), contentOf(`${round} ${index}`)]));
  await compare(`state write, ${count} files`, [
    [
      "git: fast-import",
      async (round) => (ours.head = await fastImport(ours.directory, step(round), ours.head)),
    ],
    [
      "git: rev-parse, fast-import",
      async (round) => fastImport(asked.directory, step(round), await readHead(asked.directory)),
    ],
    [
      "isomorphic-git, no fsync",
      async (round) =>
        (plain.head = await writeStep({ ...plain, files: step(round), client: fs }, plain.head)),
    ],
    [
      "isomorphic-git, fsync and rename",
      async (round) =>
        (durable.head = await writeStep(
          { ...durable, files: step(round), client: objectFiles },
          durable.head,
        )),
    ],
    ["the same, trees from memory", async (round) => writeFromMemory(memory, step(round))],
    [
      "node:zlib alone, fsync and rename",
      async (round) => (alone.head = await writeStepAlone({ ...alone, files: step(round) }, alone.head)),
    ],
  ]);
  for (const { directory } of repositories)
    await ownGit({ directory, args: ["fsck", "--strict", "--no-dangling"], parse: () => undefined });
}

/** As the state is laid out: ten files a network. */
function stateFile(index: number): string {
  return `networks/n${Math.floor(index / 10)}/f${index % 10}.json`;
}

async function makeState(directory: string, count: number): Promise<void> {
  await ensureOwnRepository(directory);
  const files = new Map(
    Array.from({ length: count }, (_, index) => [stateFile(index), contentOf(`${directory} ${index}`)]),
  );
  await fastImport(directory, files, undefined);
}

/** fast-import leaves a pack when it wrote many objects. */
async function unpack(directory: string): Promise<void> {
  const packs = path.join(directory, "objects/pack");
  for (const name of fs.existsSync(packs) ? fs.readdirSync(packs) : []) {
    if (!name.endsWith(".pack")) continue;
    const pack = fs.readFileSync(path.join(packs, name));
    fs.rmSync(packs, { recursive: true });
    fs.mkdirSync(packs);
    await run({ file: "git", args: [`--git-dir=${directory}`, "unpack-objects", "-q"], input: pack });
  }
}

/** About 1 kB of JSON. */
function contentOf(seed: string): string {
  return `${JSON.stringify({ seed, lines: Array.from({ length: 40 }, (_, line) => `${seed} line ${line}`) }, undefined, 1).slice(0, 1000)}\n`;
}

async function readHead(directory: string): Promise<string> {
  return ownGit({ directory, args: ["rev-parse", "--verify", BRANCH], parse: (text) => text.trim() });
}

/** The state store's way: one process that also moves the branch. */
async function fastImport(
  directory: string,
  files: ReadonlyMap<string, string>,
  from: string | undefined,
): Promise<string> {
  const input = [
    `commit ${BRANCH}\nmark :1\ncommitter cui <cui@localhost> ${Math.floor(Date.now() / 1000)} +0000\n`,
    data("step"),
    from === undefined ? "" : `from ${from}\n`,
    ...[...files].flatMap(([file, content]) => [`M 100644 inline ${file}\n`, data(content)]),
    "\nget-mark :1\ndone\n",
  ];
  const args = ["fast-import", "--quiet", "--done"];
  return ownGit({ directory, args, input: input.join(""), parse: (text) => text.trim() });
}

/** Objects in this process, then the branch with git, which compares and swaps. */
async function writeStep(
  {
    directory,
    files,
    client,
  }: { directory: string; files: ReadonlyMap<string, string>; client: isomorphic.FsClient },
  from: string,
): Promise<string> {
  const at = { fs: client, gitdir: directory, cache: {} };
  const { commit } = await isomorphic.readCommit({ ...at, oid: from });
  const tree = await editTree(at, commit.tree, editsOf(files));
  const made = { tree, parent: [from], author: AUTHOR, committer: AUTHOR, message: "step\n" };
  const oid = await isomorphic.writeCommit({ ...at, commit: made });
  await ownGit({ directory, args: ["update-ref", BRANCH, oid, from], parse: () => undefined });
  return oid;
}

async function writeFromMemory(
  known: Own & { folders: OwnFolders },
  files: ReadonlyMap<string, string>,
): Promise<void> {
  const { directory, head: parent, folders } = known;
  const at = { directory, branch: BRANCH, parent, folders };
  const made = await commitToOwnBranch({ ...at, files, message: "step", committedAt: 1 });
  known.head = made.commit;
  known.folders = made.folders;
}

/** As `writeStep`, without a library: what is left when the objects are made with Node's own zlib and crypto. */
async function writeStepAlone(
  { directory, files }: { directory: string; files: ReadonlyMap<string, string> },
  from: string,
): Promise<string> {
  const commit = (await readLoose(directory, from)).toString("utf8");
  const tree = await editAlone(directory, commit.slice(5, 45), editsOf(files));
  const person = `cui <cui@localhost> ${AUTHOR.timestamp} +0000`;
  const text = `tree ${tree}\nparent ${from}\nauthor ${person}\ncommitter ${person}\n\nstep\n`;
  const oid = await writeLoose(directory, "commit", Buffer.from(text));
  await ownGit({ directory, args: ["update-ref", BRANCH, oid, from], parse: () => undefined });
  return oid;
}

async function editAlone(directory: string, tree: string, edits: readonly Edit[]): Promise<string> {
  const entries = new Map<string, Buffer>();
  const before = await readLoose(directory, tree);
  for (let at = 0; at < before.length;) {
    const nul = before.indexOf(0, at);
    const [mode = "", name = ""] = before.toString("utf8", at, nul).split(" ");
    entries.set(mode === "40000" ? `${name}/` : name, before.subarray(at, nul + 21));
    at = nul + 21;
  }
  const changed = [...Map.groupBy(edits, ([names]) => names[0] ?? "")].map(async ([name, inside]) => {
    const [names = [], content = ""] = inside[0] ?? [];
    const isFile = names.length === 1;
    const old = entries.get(`${name}/`)?.subarray(-20).toString("hex") ?? "";
    const oid = isFile
      ? await writeLoose(directory, "blob", Buffer.from(content))
      : await editAlone(
          directory,
          old,
          inside.map(([all, text]): Edit => [all.slice(1), text]),
        );
    const head = Buffer.from(`${isFile ? "100644" : "40000"} ${name}\0`);
    return [isFile ? name : `${name}/`, Buffer.concat([head, Buffer.from(oid, "hex")])] as const;
  });
  for (const [name, entry] of await Promise.all(changed)) entries.set(name, entry);
  const sorted = [...entries].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return writeLoose(directory, "tree", Buffer.concat(sorted.map(([, entry]) => entry)));
}

async function readLoose(directory: string, oid: string): Promise<Buffer> {
  const bytes = inflateSync(await readFile(path.join(directory, "objects", oid.slice(0, 2), oid.slice(2))));
  return bytes.subarray(bytes.indexOf(0) + 1);
}

async function writeLoose(directory: string, type: string, content: Buffer): Promise<string> {
  const bytes = Buffer.concat([Buffer.from(`${type} ${content.length}\0`), content]);
  const oid = createHash("sha1").update(bytes).digest("hex");
  const folder = path.join(directory, "objects", oid.slice(0, 2));
  await mkdir(folder, { recursive: true });
  await writeFileAtomically(path.join(folder, oid.slice(2)), deflateSync(bytes), { mode: 0o444 });
  return oid;
}

function head(directory: string): Promise<string> {
  return isomorphic.resolveRef({ fs, gitdir: directory, ref: BRANCH });
}

async function measureStateRead(folder: string, compare: Compare, count: number): Promise<void> {
  for (const kind of ["loose", "packed"]) {
    const directory = path.join(folder, `read-${count}-${kind}.git`);
    await makeState(directory, count);
    if (kind === "loose") await unpack(directory);
    else await ownGit({ directory, args: ["gc", "--quiet"], parse: () => undefined });
    await compare(`state read, ${count} files, ${kind}`, [
      ["git: rev-parse, ls-tree, cat-file", () => readWithGit(directory)],
      ["isomorphic-git", async () => readInProcess(directory, await head(directory))],
    ]);
  }
  const directory = path.join(folder, `read-${count}-loose.git`);
  await compare(`state head, ${count} files`, [
    ["git: rev-parse", () => readHead(directory)],
    ["isomorphic-git", () => head(directory)],
    ["its file, or else git", () => readOwnBranch(directory, BRANCH)],
  ]);
}

async function readWithGit(directory: string): Promise<number> {
  const revision = await readHead(directory);
  const oids = await ownGit({
    directory,
    args: ["ls-tree", "-r", "-z", "--full-tree", revision],
    parse: (text) =>
      text.split("\0").flatMap((line) => (line === "" ? [] : [line.slice(12, line.indexOf("\t"))])),
  });
  return ownGit({
    directory,
    args: ["cat-file", "--batch"],
    input: `${oids.join("\n")}\n`,
    parse: (text) => text.length,
  });
}

async function readInProcess(gitdir: string, oid: string, cache = {}): Promise<number> {
  const at = { fs, gitdir, cache };
  const { tree } = await isomorphic.readTree({ ...at, oid });
  const sizes = await Promise.all(
    tree.map(async (entry) =>
      entry.type === "tree"
        ? readInProcess(gitdir, entry.oid, cache)
        : (await isomorphic.readBlob({ ...at, oid: entry.oid })).blob.length,
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
