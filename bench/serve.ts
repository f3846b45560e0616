/**
 * Clones and downloads from `cui serve` beside peers in the same run: `git daemon` for git, nginx (where installed) or else
 * Python's http.server for objects: `npm run bench:serve [-- <MB of git> <MB of object>]`. Prints seconds, MB/s and the ratio to the
 * peer, medians of the rounds, and the server's peak memory. Needs a built dist/cui.js.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Oid } from "../src/disk/object-store.ts";
import { CollectiveError } from "../src/errors.ts";
import { run } from "../src/io.ts";
import { gitAt } from "../test/git/git-fixture.ts";
import { createRepository } from "../src/setup/create.ts";
import { openLfsClient } from "../src/lfs/client.ts";
import { lfsStore } from "../src/lfs/local-store.ts";

// The user's own filters and helpers are not measured.
process.env["GIT_CONFIG_GLOBAL"] = "/dev/null";
process.env["GIT_CONFIG_NOSYSTEM"] = "1";

const ROUNDS = 3;
const [gitMegabytes = 50, objectMegabytes = 500] = process.argv.slice(2).map(Number);
const PORTS = { cui: 18_431, daemon: 18_432, files: 18_433 };

const folder = await mkdtemp(path.join(tmpdir(), "serve-bench-"));
const srv = path.join(folder, "srv");
const repository = path.join(srv, "DNS.git");
const started: ChildProcess[] = [];
try {
  const oid = await makeRepository();
  const object = path.relative(srv, lfsStore(repository).pathOf(oid));
  await start(PORTS.cui, process.execPath, [
    path.resolve("dist/cui.js"),
    "serve",
    srv,
    "--listen",
    `127.0.0.1:${PORTS.cui}`,
  ]);
  await start(PORTS.daemon, "git", [
    "daemon",
    "--reuseaddr",
    "--export-all",
    `--base-path=${srv}`,
    "--listen=127.0.0.1",
    `--port=${PORTS.daemon}`,
    srv,
  ]);
  const files = await startFileServer();
  const ours = `http://127.0.0.1:${PORTS.cui}/DNS`;
  await compare(`clone ${gitMegabytes} MB`, gitMegabytes, [
    ["cui serve", () => clone(ours)],
    ["git daemon", () => clone(`git://127.0.0.1:${PORTS.daemon}/DNS.git`)],
  ]);
  await compare("20 clones at once", gitMegabytes * 20, [
    ["cui serve", () => cloneMany(ours)],
    ["git daemon", () => cloneMany(`git://127.0.0.1:${PORTS.daemon}/DNS.git`)],
  ]);
  await compare(`download ${objectMegabytes} MB with curl`, objectMegabytes, [
    ["cui serve", () => curl(`${ours}/info/lfs/objects/${oid}`)],
    [files, () => curl(`http://127.0.0.1:${PORTS.files}/${object}`)],
  ]);
  await compare(`download ${objectMegabytes} MB, verified`, objectMegabytes, [
    ["our client", () => downloadOurs(ours, oid)],
    ["git lfs fetch", () => downloadLfs(ours)],
  ]);
  const status = await readFile(`/proc/${started[0]?.pid ?? 0}/status`, "utf8");
  console.log(`cui serve: peak memory ${(Number(/VmHWM:\s*(\d+)/.exec(status)?.[1]) / 1024).toFixed(0)} MiB`);
} finally {
  for (const child of started) child.kill();
  await rm(folder, { recursive: true, force: true });
}

/** One commit with files no compression helps, and a large Git LFS object. */
async function makeRepository(): Promise<Oid> {
  await createRepository(gitAt(repository));
  const work = path.join(folder, "work");
  await mkdir(path.join(work, "files"), { recursive: true });
  for (let index = 0; index < gitMegabytes; index += 1)
    await writeFile(path.join(work, "files", String(index)), randomBytes(1e6));
  const local = lfsStore(repository);
  const file = path.join(folder, "object");
  const hash = createHash("sha256");
  const handle = await open(file, "w");
  for (let index = 0; index < objectMegabytes; index += 1) {
    const piece = randomBytes(1e6);
    hash.update(piece);
    await handle.write(piece);
  }
  await handle.close();
  const oid = hash.digest("hex") as Oid;
  await local.add(oid, file);
  await writeFile(
    path.join(work, "a.pack"),
    `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${objectMegabytes * 1e6}\n`,
  );
  await writeFile(path.join(work, ".gitattributes"), "*.pack filter=lfs diff=lfs merge=lfs -text\n");
  const git = (...args: string[]): Promise<string> =>
    run({
      file: "git",
      args: ["-C", work, "-c", "user.name=b", "-c", "user.email=b@b", ...args],
    });
  await git("init", "--quiet", "--initial-branch=main");
  await git("add", "--all");
  await git("commit", "--quiet", "--message", "v1");
  await git("push", "--quiet", repository, "HEAD:main");
  return oid;
}

async function start(port: number, file: string, args: readonly string[]): Promise<void> {
  const child = spawn(file, args, { stdio: "ignore" });
  started.push(child);
  const failed = new Promise<never>((_, reject) => child.on("error", reject));
  await Promise.race([untilListening(port), failed]);
}

async function untilListening(port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    const isUp = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      }).on("error", () => {
        resolve(false);
      });
    });
    if (isUp) return;
    await sleep(50);
  }
  throw new Error(`nothing listens on ${port}`);
}

async function startFileServer(): Promise<string> {
  const config = path.join(folder, "nginx.conf");
  await writeFile(
    config,
    `daemon off; pid ${folder}/nginx.pid; error_log /dev/null; user root; events {}
http { access_log off; sendfile on; server { listen 127.0.0.1:${PORTS.files}; root ${srv}; } }\n`,
  );
  try {
    await start(PORTS.files, "nginx", ["-c", config]);
    return "nginx";
  } catch {
    started.pop();
    await start(PORTS.files, "python3", [
      "-m",
      "http.server",
      "--bind",
      "127.0.0.1",
      "--directory",
      srv,
      String(PORTS.files),
    ]);
    return "python3 http.server";
  }
}

type Way = readonly [name: string, work: () => Promise<unknown>];

/** Rounds take turns, so that both meet the same machine. */
async function compare(title: string, megabytes: number, ways: readonly [Way, Way]): Promise<void> {
  const seconds: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, [, work]] of ways.entries()) {
      const startedAt = performance.now();
      await work();
      seconds[index]?.push((performance.now() - startedAt) / 1000);
    }
  }
  const [ours, peers] = seconds.map((all) => all.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? 0) as [
    number,
    number,
  ];
  const show = (name: string, taken: number): string =>
    `${name} ${taken.toFixed(2)} s (${(megabytes / taken).toFixed(0)} MB/s)`;
  console.log(
    `${title}: ${show(ways[0][0], ours)}, ${show(ways[1][0], peers)}, ratio ${(ours / peers).toFixed(2)}`,
  );
}

async function scratch(work: (to: string) => Promise<unknown>): Promise<void> {
  const to = await mkdtemp(path.join(folder, "to-"));
  await work(to);
  await rm(to, { recursive: true });
}

function clone(url: string): Promise<void> {
  const env = { GIT_LFS_SKIP_SMUDGE: "1" };
  return scratch((to) =>
    run({ file: "git", args: ["clone", "--quiet", "--bare", url, path.join(to, "clone")], env }),
  );
}

async function cloneMany(url: string): Promise<void> {
  await Promise.all(Array.from({ length: 20 }, () => clone(url)));
}

async function curl(url: string): Promise<void> {
  await run({ file: "curl", args: ["--silent", "--fail", "--output", "/dev/null", url] });
}

function downloadOurs(url: string, oid: Oid): Promise<void> {
  return scratch(async (to) => {
    const target = path.join(to, "mirror");
    await createRepository(gitAt(target));
    const client = openLfsClient({ url, git: gitAt(target) });
    await client.download([{ oid, sizeBytes: objectMegabytes * 1e6 }], lfsStore(target));
    await client.close();
  });
}

function downloadLfs(url: string): Promise<void> {
  return scratch(async (to) => {
    const target = path.join(to, "clone");
    await run({ file: "git", args: ["clone", "--quiet", "--bare", url, target] });
    await run({ file: "git", args: ["-C", target, "lfs", "fetch", "origin", "main"] }).catch(
      (error: unknown) => {
        throw error instanceof CollectiveError ? new Error(String(error.data["stderr"])) : error;
      },
    );
  });
}
