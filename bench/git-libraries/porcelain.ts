/** Porcelain on clones: git's program as src/git calls it beside simple-git. */
import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { simpleGit, type SimpleGit } from "simple-git";
import { configValue } from "../../src/git/config.ts";
import { gitAt } from "../../test/git/git-fixture.ts";
import { push } from "../../src/git/push.ts";
import { serveRepositories } from "../../src/serve/server.ts";
import { createRepository } from "../../src/setup/create.ts";
import { run } from "../../src/io.ts";
import type { Compare } from "../git-libraries.ts";

export async function measurePorcelain(folder: string, compare: Compare): Promise<void> {
  const srv = path.join(folder, "srv");
  const origin = path.join(srv, "origin.git");
  await makeOrigin(folder, origin);
  const server = await serveRepositories({
    ...{ folder: srv, host: "127.0.0.1", port: 0, isWritable: false },
    log: () => undefined,
  });
  try {
    await measureClones(folder, compare, { path: origin, http: `${server.url}/origin` });
  } finally {
    await server.close();
  }
}

/** 200 commits of 20 kB that no compression helps, and ten tags. */
async function makeOrigin(folder: string, origin: string): Promise<void> {
  await createRepository(gitAt(origin));
  const parts: Buffer[] = [];
  const { randomBytes } = await import("node:crypto");
  for (let index = 0; index < 200; index += 1) {
    parts.push(
      Buffer.from(
        `commit refs/heads/main\ncommitter b <b@b> ${1_600_000_000 + index} +0000\ndata 1\nc\nM 100644 inline f${index}\ndata 20000\n`,
      ),
      randomBytes(20_000),
      Buffer.from("\n"),
    );
  }
  const at = ["-C", origin];
  await run({ file: "git", args: [...at, "fast-import", "--quiet"], input: Buffer.concat(parts) });
  for (let tag = 1; tag <= 10; tag += 1)
    await run({ file: "git", args: [...at, "tag", `v${tag}`, `main~${tag}`] });
  await mkdir(path.join(folder, "work"));
}

async function measureClones(
  folder: string,
  compare: Compare,
  from: { readonly path: string; readonly http: string },
): Promise<void> {
  const work = path.join(folder, "work");
  const at = (name: string, round: number): string => path.join(work, `${name}-${round}`);
  await compare("init, bare", [
    ["git", (round) => gitAt(work).run({ args: ["init", "--quiet", "--bare", "--", at("init", round)] })],
    [
      "simple-git",
      async (round) => {
        await mkdir(at("init-s", round));
        await simpleGit(at("init-s", round)).init(true);
      },
    ],
  ]);
  const clone = path.join(work, "clone");
  await gitAt(work).run({ args: ["clone", "--quiet", "--", from.path, clone] });
  const library = simpleGit(clone);
  await compare("config set", [
    ["git", (round) => gitAt(clone).run({ args: ["config", "cui.a", String(round)] })],
    ["simple-git", (round) => library.addConfig("cui.b", String(round))],
  ]);
  await compare("config get", [
    ["git", () => configValue(gitAt(clone), "remote.origin.url")],
    ["simple-git", () => library.getConfig("remote.origin.url")],
  ]);
  await compare("remote add", [
    ["git", (round) => gitAt(clone).run({ args: ["remote", "add", `a${round}`, from.path] })],
    ["simple-git", (round) => library.addRemote(`b${round}`, from.path)],
  ]);
  await compare("list tags", [
    [
      "git: for-each-ref",
      () => gitAt(clone).run({ args: ["for-each-ref", "--format=%(refname)", "refs/tags"] }),
    ],
    ["simple-git: tags", () => library.tags()],
  ]);
  await measureTransfers({ work, clone, library, compare, from });
}

async function measureTransfers({
  work,
  clone,
  library,
  compare,
  from,
}: {
  readonly work: string;
  readonly clone: string;
  readonly library: SimpleGit;
  readonly compare: Compare;
  readonly from: { readonly path: string; readonly http: string };
}): Promise<void> {
  const withProgress = simpleGit({ baseDir: clone, progress: () => undefined });
  for (const [title, url] of Object.entries(from)) {
    await compare(`fetch of nothing new, ${title}`, [
      ["git", () => gitAt(clone).run({ args: ["fetch", "--quiet", "--no-tags", "--", url, "main"] })],
      ["simple-git, quiet", () => library.fetch(url, "main", ["--quiet", "--no-tags"])],
      ["simple-git with progress", () => withProgress.fetch(url, "main", ["--no-tags"])],
    ]);
    await compare(`clone of 4 MB, ${title}`, [
      [
        "git",
        (round) =>
          cloned(work, round, (to) =>
            gitAt(work).run({ args: ["clone", "--quiet", "--bare", "--no-local", "--", url, to] }),
          ),
      ],
      [
        "simple-git with progress",
        (round) =>
          cloned(work, round, (to) =>
            simpleGit({ baseDir: work, progress: () => undefined }).clone(url, to, ["--bare", "--no-local"]),
          ),
      ],
    ]);
  }
  const target = path.join(work, "target.git");
  await gitAt(work).run({ args: ["init", "--quiet", "--bare", "--", target] });
  await compare("push of a branch, path", [
    ["git: push()", (round) => push(gitAt(clone), { to: target, refspecs: [`HEAD:refs/heads/a${round}`] })],
    ["simple-git", (round) => library.push(target, `HEAD:refs/heads/b${round}`)],
  ]);
}

async function cloned(work: string, round: number, clone: (to: string) => Promise<unknown>): Promise<void> {
  const to = path.join(work, `cloned-${round}`);
  await clone(to);
  await rm(to, { recursive: true });
}
