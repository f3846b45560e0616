/** Strangers that hold what they can: real clones and pushes go through beside them. */
import { randomBytes } from "node:crypto";
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect as connectTls, type TLSSocket } from "node:tls";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gunzipSync, gzipSync } from "node:zlib";
import t, { type Test } from "tap";
import type { ServeLimits } from "../../src/serve/limits.ts";
import type { ServeOptions } from "../../src/serve/server.ts";
import { createRepository } from "../../src/setup/create.ts";
import { git, gitAt, until } from "../git/git-fixture.ts";
import {
  ask,
  batch,
  bearer,
  gitWith,
  makeCertificate,
  serveAsProcess,
  serveHere,
  type Served,
} from "./served.ts";
import {
  cloneWorks,
  ENDLESS_BODY,
  NEVER_MS,
  OTHER_ADDRESS,
  packetLine,
  PATIENT,
  post,
  PUSH_TYPE,
  pushWorks,
  READ_TYPE,
  SLOW_BODY,
  strangers,
  withSmall,
  type Stranger,
} from "./strangers.ts";

/** A server with a small repository, which is cloned and pushed to. */
async function serve(t: Test, limits: Partial<ServeLimits>): Promise<Served> {
  return withSmall(await serveHere(t, { limits }));
}

/** A repository whose packs fill every buffer, made once. */
const large = path.join(t.testdir({}), "Large");
const wanted = await (async (): Promise<string> => {
  await createRepository(gitAt(large));
  const source = `${large}-source`;
  git(path.dirname(large), "init", "--quiet", "--initial-branch=main", source);
  git(source, "config", "core.compression", "0");
  for (const name of ["a", "b", "c", "d"])
    writeFileSync(path.join(source, name), randomBytes(4 * 1024 * 1024));
  git(source, "add", "--all");
  git(source, "commit", "--quiet", "--message", "noise");
  git(source, "push", "--quiet", large, "main");
  return git(source, "rev-parse", "main");
})();

async function serveWithLarge(
  t: Test,
  limits: Partial<ServeLimits>,
  options: Partial<ServeOptions> = {},
): Promise<Served> {
  const served = await serveHere(t, { limits, ...options });
  if (options.tls === undefined) await withSmall(served);
  cpSync(large, path.join(served.srv, "Large"), { recursive: true });
  return served;
}

/** The beginning of a push, so that it gets a place; git goes on to wait: the list of what is pushed does not end. */
function slowPush({ token }: Served): string {
  const more = `Authorization: ${String(bearer(token.write).Authorization)}\r\nContent-Length: 9000000\r\n`;
  const list = Array.from({ length: 800 }, (_, at) =>
    packetLine(`${"0".repeat(40)} ${"1".repeat(40)} refs/heads/${at}\0report-status`),
  );
  return `${post("/DNS/git-receive-pack", PUSH_TYPE, more)}${list.join("")}`;
}

/** Asks for all of the large repository. */
function wantAll(): string {
  const body = wantAllBody();
  return `${post("/Large/git-upload-pack", READ_TYPE, `Content-Length: ${body.length}\r\n`)}${body}`;
}

function wantAllBody(): string {
  const line = `want ${wanted} side-band-64k ofs-delta\n`;
  return `${packetLine(line)}00000009done\n`;
}

t.test(
  "bodies that do not come take no place, of whatever number, and are not waited for for ever",
  async (t) => {
    const served = await serve(t, { ...PATIENT, maxProcesses: 2 });
    const chunked = [...strangers(t, served, { count: 10, head: ENDLESS_BODY, drip: "1\r\n0\r\n" })];
    const slow = [...strangers(t, served, { count: 10, head: SLOW_BODY, drip: "0" }), ...chunked];
    const most = `${SLOW_BODY}${"0".repeat(70_000)}`;
    slow.push(...strangers(t, served, { count: 5, head: most, drip: "0" }));
    const lfs = post(
      "/DNS/info/lfs/objects/batch",
      "application/vnd.git-lfs+json",
      "Content-Length: 9000\r\n",
    );
    slow.push(...strangers(t, served, { count: 5, head: lfs, drip: " " }));
    const refs =
      "GET /DNS/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n";
    slow.push(...strangers(t, served, { count: 5, head: refs, drip: " " }));
    await sleep(500);
    for (const turn of ["first", "second"]) await cloneWorks(t, served, `the ${turn} beside slow bodies`);
    await pushWorks(t, served, "beside slow bodies");
    t.equal((await batch(served.url, "download", [])).status, 200);
    t.ok(
      slow.some(({ isClosed }) => !isClosed()),
      "they were there all the while",
    );

    const brisk = await serve(t, { paceWindowMs: 500, headersTimeoutMs: 2000 });
    const closed = [
      ...strangers(t, brisk, { count: 3, head: SLOW_BODY, drip: "0" }),
      ...strangers(t, brisk, { count: 3, head: ENDLESS_BODY, drip: "1\r\n0\r\n" }),
      ...strangers(t, brisk, { count: 3, head: lfs, drip: " " }),
      ...strangers(t, brisk, { count: 3, head: "GET /DNS/info/refs HTTP/1.1\r\nX: ", drip: "x" }),
    ];
    await until(() => closed.every(({ isClosed }) => isClosed()));
    t.ok(brisk.log.some((line) => /127\.0\.0\.1 - closed: less than 1024 bytes\/s/.test(line)));
  },
);

t.test("bodies without an end are refused where they are too large", async (t) => {
  const served = await serve(t, { ...PATIENT, maxProcesses: 1 });
  const piece = `10000\r\n${"0".repeat(65_536)}\r\n`;
  const endless = (head: string) => strangers(t, served, { count: 2, head, drip: piece, dripMs: 5 });
  const all = [
    ...endless(ENDLESS_BODY),
    ...endless(
      post("/DNS/info/lfs/objects/batch", "application/vnd.git-lfs+json", "Transfer-Encoding: chunked\r\n"),
    ),
    ...endless(
      "GET /DNS/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    ...endless(post("/DNS/git-receive-pack", PUSH_TYPE, "Transfer-Encoding: chunked\r\n")),
  ];
  await cloneWorks(t, served, "beside bodies without an end");
  await until(() => all.every(({ isClosed }) => isClosed()));
  t.pass("and they end");
});

t.test("who does not take its answer keeps no place that others wait for", async (t) => {
  const limits = { maxProcesses: 2, maxPushes: 1, patienceMs: 1000, paceWindowMs: NEVER_MS };
  const served = await serveWithLarge(t, limits);
  const head = wantAll();
  const readers = strangers(t, served, { count: 2, head, isReading: false });
  await sleep(500);
  await cloneWorks(t, served, "from the address of two that do not read");
  t.ok(readers.length > 0);
  strangers(t, served, { count: 1, head: slowPush(served), drip: "0" });
  await sleep(500);
  await pushWorks(t, served, "after one that does not come");
  await t.resolves(
    gitWith(
      undefined,
      served.folder,
      "clone",
      "--quiet",
      `${served.url}/Large`,
      path.join(served.folder, "whole"),
    ),
    "who reads gets all of a large one",
  );

  const patient = await serveWithLarge(t, { ...PATIENT, maxProcesses: 2 });
  strangers(t, patient, {
    count: 10,
    head: wantAll(),
    isReading: false,
    localAddress: OTHER_ADDRESS,
  });
  await sleep(500);
  await cloneWorks(t, patient, "for one address leaves a place to others");

  const brisk = await serveHere(t, { limits: { paceWindowMs: 1000 } });
  cpSync(large, path.join(brisk.srv, "Large"), { recursive: true });
  const closed = strangers(t, brisk, { count: 2, head: wantAll(), isReading: false });
  await until(() => brisk.log.filter((line) => / closed: less than /.test(line)).length === closed.length);
  t.pass("and without anybody waiting their connections end");
});

t.test("many connections of one address are no more than it may have", async (t) => {
  const served = await serve(t, { ...PATIENT, maxConnections: 40 });
  const open = (kind: readonly Stranger[]): number => kind.filter(({ isClosed }) => !isClosed()).length;
  const silent = strangers(t, served, { count: 60, head: "", localAddress: OTHER_ADDRESS });
  const headers = strangers(t, served, {
    count: 60,
    head: "GET / HTTP/1.1\r\nX: ",
    drip: "x",
    localAddress: OTHER_ADDRESS,
  });
  const idle = strangers(t, served, {
    count: 60,
    head: "GET /none HTTP/1.1\r\nHost: x\r\n\r\n",
    localAddress: OTHER_ADDRESS,
  });
  await until(() => open([...silent, ...headers, ...idle]) <= 10);
  await cloneWorks(t, served, "from another address");
  const bodies = strangers(t, served, { count: 60, head: SLOW_BODY, drip: "0" });
  await until(() => open(bodies) <= 10);
  await cloneWorks(t, served, "from the same address");
  const many = ["127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6", "127.0.0.7"].flatMap((localAddress) =>
    strangers(t, served, { count: 10, head: SLOW_BODY, drip: "0", localAddress }),
  );
  await sleep(500);
  await cloneWorks(t, served, "when all connections are taken");
  t.ok(open([...silent, ...headers, ...idle, ...bodies, ...many]) <= 40);
});

t.test("requests before the answer to the last are not served", async (t) => {
  const served = await serve(t, { ...PATIENT });
  const one = "GET /DNS/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: x\r\n\r\n";
  const [stranger] = strangers(t, served, { count: 1, head: one.repeat(100) });
  await until(() => stranger?.isClosed() === true);
  await cloneWorks(t, served, "beside a stranger that piles up requests");
});

t.test("reading and pushing do not share places", async (t) => {
  const served = await serveWithLarge(t, { ...PATIENT, maxProcesses: 1, maxPushes: 1 });
  const pushers = strangers(t, served, { count: 3, head: slowPush(served), drip: "0" });
  await sleep(500);
  await cloneWorks(t, served, "beside pushes that do not come");
  for (const { socket } of pushers) socket.destroy();
  strangers(t, served, { count: 3, head: wantAll(), isReading: false });
  await sleep(500);
  // The hook of git-lfs would ask what there is: that is reading.
  await pushWorks(t, served, "beside readers that do not read", ["-c", "core.hooksPath=/dev/null"]);
  const answer = await ask(served.url, {
    path: "/DNS/info/refs?service=git-receive-pack",
    headers: bearer(served.token.write),
  });
  t.equal(answer.status, 200);
});

t.test("bodies that end early leave nothing behind, by their length, in chunks and compressed", async (t) => {
  const served = await serveWithLarge(t, { ...PATIENT, maxProcesses: 1, maxPushes: 1 });
  const { Authorization } = bearer(served.token.write);
  const length = "Content-Length: 1000000\r\n";
  const chunked = "Transfer-Encoding: chunked\r\n";
  const piece = `1000\r\n${"0".repeat(4096)}\r\n`;
  const push = (more: string): string =>
    post("/DNS/git-receive-pack", PUSH_TYPE, `Authorization: ${String(Authorization)}\r\n${more}`);
  const heads = [
    ...[SLOW_BODY, `${ENDLESS_BODY}${piece}`, `${ENDLESS_BODY}10`],
    ...[`${push(length)}${"0".repeat(70_000)}`, `${push(chunked)}${piece.repeat(20)}`],
    post("/DNS/git-upload-pack", READ_TYPE, `Content-Encoding: gzip\r\n${length}`),
    "GET /DNS/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1",
  ];
  for (const end of ["destroy", "resetAndDestroy", "end"] as const) {
    const all = heads.map((head) => strangers(t, served, { count: 1, head })[0]);
    await sleep(200);
    for (const stranger of all) stranger?.socket[end]();
    await cloneWorks(t, served, `after bodies that ended early: ${end}`);
    await pushWorks(t, served, `after bodies that ended early: ${end}`);
  }
  await until(() => programsOf(served).length === 0);
  t.pass("no git is left");
});

t.test("compressed bodies are taken, inflated within bounds", async (t) => {
  const served = await serveWithLarge(t, { ...PATIENT, maxProcesses: 1 });
  const asked = (body: Uint8Array | string, repository = "Large") =>
    ask(served.url, {
      ...{ method: "POST", path: `/${repository}/git-upload-pack`, body },
      headers: { "Content-Type": READ_TYPE, "Content-Encoding": "gzip" },
    });
  const whole = gzipSync(wantAllBody());
  const answer = await asked(whole);
  t.equal(answer.status, 200);
  t.ok(answer.body.length > 16 * 1024 * 1024, "all of it");
  for (const body of [whole.subarray(0, -10), "no gzip at all", ""]) {
    t.equal((await asked(body)).status, 400, `${body.length} bytes`);
  }
  const have = `0032have ${"0".repeat(40)}\n`;
  const bomb = gzipSync(have.repeat(1_000_000));
  t.ok(bomb.length < 300_000, "a small body");
  t.ok(gunzipSync(bomb).length > 16 * 1024 * 1024);
  t.equal((await asked(bomb)).status, 413);
  await cloneWorks(t, served, "after them");
});

t.test("who takes its answer slowly is told from who does not, also over TLS", async (t) => {
  const { cert, key } = makeCertificate(t.testdir({}));
  const tls = { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
  const limits = { leastBytesPerSecond: 20_000, paceWindowMs: 2000, headersTimeoutMs: 3000 };
  const served = await serveWithLarge(t, { ...limits, idleTimeoutMs: NEVER_MS }, { tls });
  // A record of TLS that says it has 512 bytes.
  const greeting = Buffer.from([22, 3, 1, 2, 0]);
  const handshakes = [Buffer.alloc(0), greeting].flatMap((head) =>
    strangers(t, served, { count: 1, head: head.toString("latin1"), drip: head.subarray(4) }),
  );
  const port = Number(new URL(served.url).port);
  const open = (): TLSSocket => connectTls({ port, rejectUnauthorized: false });
  const [slow, still] = [open(), open()];
  const closed: string[] = [];
  for (const [name, socket] of Object.entries({ slow, still })) {
    socket.on("error", () => undefined).on("close", () => closed.push(name));
    socket.write(wantAll());
    t.teardown(() => socket.destroy());
  }
  // Some 300,000 bytes a second: all of it would take a minute.
  let taken = 0;
  const reading = setInterval(() => {
    taken += (slow.read(30_000) as Buffer | null)?.length ?? 0;
  }, 100);
  t.teardown(() => {
    clearInterval(reading);
  });
  const closings = (): number => served.log.filter((line) => line.includes(" closed: less than ")).length;
  await until(() => closings() === 1);
  const before = taken;
  await until(() => taken > before + 1_000_000);
  t.notOk(closed.includes("slow"), `who takes ${taken} bytes goes on`);
  t.equal(closings(), 1);
  await until(() => handshakes.every(({ isClosed }) => isClosed()));
  t.pass("who does not come to its request is not waited for");
});

t.test("the programs end with the server, also when it is killed", async (t) => {
  const served = await serveAsProcess(t, "--writable");
  cpSync(large, path.join(served.srv, "Large"), { recursive: true });
  const { Authorization } = bearer(served.token.write);
  const authorized = `Authorization: ${String(Authorization)}\r\n`;
  const refs = (length: number): string =>
    `GET /DNS/info/refs?service=git-receive-pack HTTP/1.1\r\nHost: x\r\n${authorized}Content-Length: ${length}\r\n\r\n`;
  strangers(t, served, { count: 2, head: slowPush(served), drip: "0" });
  strangers(t, served, { count: 2, head: wantAll(), isReading: false });
  strangers(t, served, { count: 2, head: refs(90_000), drip: "0" });
  const runs = (name: string): number => programsOf(served).filter((line) => line.includes(name)).length;
  await until(
    () => runs("receive-pack --stateless-rpc .") === 2 && runs("upload-pack --stateless-rpc .") === 2,
  );
  served.process.kill("SIGKILL");
  await served.exitCode;
  await until(() => programsOf(served).length === 0);
  t.pass("none is left");
});

/** The command lines of the programs that work for a server, which are told by its folder. */
function programsOf({ srv }: Pick<Served, "srv">): readonly string[] {
  return readdirSync("/proc").flatMap((pid) => {
    try {
      const environment = /^\d+$/.test(pid) ? readFileSync(`/proc/${pid}/environ`, "latin1") : "";
      if (!environment.includes(`GIT_PROJECT_ROOT=${srv}`)) return [];
      return [readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ")];
    } catch {
      return []; // it ended, or is not ours
    }
  });
}
