import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import path from "node:path";
import { test, type Test } from "tap";
import { runWithProgress, type TransferProgress } from "../../src/git/progress.ts";
import { stderrOf, type Command } from "../../src/io.ts";
import { git, gitAt, makeVersions, until } from "./git-fixture.ts";

/** An empty bare repository, and one with 200 files that no compression helps. */
function repositories(t: Test): { readonly folder: string; readonly from: string } {
  const top = t.testdir({});
  const folder = path.join(top, "mirror.git");
  git(top, "init", "--quiet", "--bare", folder);
  const from = path.join(top, "from");
  makeVersions(from, [
    Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`f${n}`, randomBytes(2000).toString("hex")])),
  ]);
  return { folder, from };
}

function fetchCommand(folder: string, from: string): Command {
  return gitAt(folder).command({
    args: ["fetch", "--quiet", "--progress", "--", from, "+refs/heads/*:refs/heads/*"],
  });
}

/** A server that takes requests and never answers. */
async function silentServer(t: Test): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => void sockets.add(socket.on("error", () => undefined)));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" ? (address?.port ?? 0) : 0}/x.git`;
}

const ignore = (): void => undefined;

function isRunning(words: string): boolean {
  return execFileSync("ps", ["-e", "-o", "args="], { encoding: "utf8" }).includes(words);
}

/** A program called git that does what the lines say. */
function standIn(t: Test, ...lines: readonly string[]): Command {
  const file = path.join(t.testdir({}), "git");
  writeFileSync(file, ["#!/bin/sh", ...lines, ""].join("\n"));
  chmodSync(file, 0o755);
  return { file, args: ["fetch", "--progress"], env: process.env };
}

test("a fetch tells how far it is, through our settings", async (t) => {
  const { folder, from } = repositories(t);
  const seen: TransferProgress[] = [];
  await runWithProgress(fetchCommand(folder, from), (progress) => seen.push(progress));
  t.equal(git(folder, "rev-parse", "main"), git(from, "rev-parse", "main"));
  t.ok(seen.length > 0);
  t.ok(seen.some(({ stage }) => stage === "receiving" || stage === "remote"));
  t.ok(seen.every(({ percent }) => percent >= 0 && percent <= 100));
  const refused = fetchCommand(folder, "ext::touch% x");
  await t.rejects(runWithProgress(refused, ignore), { code: "PROCESS_FAILED" });
});

test("what git says of a failure is there, without the progress", async (t) => {
  const { folder, from } = repositories(t);
  const command = gitAt(folder).command({ args: ["fetch", "--progress", "--", from, "main", "none"] });
  const error: unknown = await runWithProgress(command, ignore).catch((thrown: unknown) => thrown);
  t.match(error, { code: "PROCESS_FAILED", data: { exitCode: 128 } });
  t.equal(stderrOf(error).trim(), "fatal: couldn't find remote ref none");
});

test("an exit without a word and the end by a signal are failures", async (t) => {
  await t.rejects(runWithProgress(standIn(t, "exit 1"), ignore), {
    code: "PROCESS_FAILED",
    data: { exitCode: 1 },
  });
  await t.rejects(runWithProgress(standIn(t, "kill -9 $$"), ignore), { code: "PROCESS_FAILED" });
  const missing = { file: path.join(t.testdirName, "no-git"), args: ["fetch", "--progress"] };
  await t.rejects(runWithProgress(missing, ignore), { code: "PROCESS_MISSING" });
});

test("the environment of the user and of the call is git's", async (t) => {
  const command = standIn(t, 'test "$GIT_SSL_CAINFO $GIT_CONFIG_COUNT $EDITOR" = "ca 1 ed" || exit 3');
  const env = {
    ...process.env,
    GIT_SSL_CAINFO: "ca",
    EDITOR: "ed",
    GIT_CONFIG_COUNT: "1",
    GIT_CONFIG_KEY_0: "a.b",
    GIT_CONFIG_VALUE_0: "c",
  };
  await runWithProgress({ ...command, env }, ignore);
  await t.rejects(runWithProgress({ ...command, env: { ...env, EDITOR: undefined } }, ignore), {
    code: "PROCESS_FAILED",
    data: { exitCode: 3 },
  });
});

test("what says nothing for long is ended, and so is what is aborted, with its helpers", async (t) => {
  const { folder } = repositories(t);
  const url = await silentServer(t);
  const plain = fetchCommand(folder, url);
  const command = { ...plain, file: "timeout", args: ["--kill-after=2", "60", plain.file, ...plain.args] };
  await t.rejects(runWithProgress({ ...command, timeoutMs: 500 }, ignore), { code: "PROCESS_TIMED_OUT" });
  const signal = AbortSignal.timeout(500);
  await t.rejects(runWithProgress({ ...command, signal }, ignore), { code: "PROCESS_FAILED" });
  await until(() => !isRunning(url));
});
