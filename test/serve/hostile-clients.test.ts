/** What a stranger sends to stop the server: real clones and pushes go through beside it. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import type { Oid } from "../../src/disk/object-store.ts";
import { lfsStore } from "../../src/lfs/local-store.ts";
import { piecesOf } from "../../src/serve/exchange.ts";
import type { ServeLimits } from "../../src/serve/limits.ts";
import { git, until } from "../git/git-fixture.ts";
import { ask, batch, bearer, serveHere, type Served } from "./served.ts";
import {
  cloneWorks,
  NEVER_MS,
  OTHER_ADDRESS,
  packetLine,
  PATIENT,
  post,
  PUSH_TYPE,
  pushWorks,
  READ_TYPE,
  strangers,
  withSmall,
  type Stranger,
} from "./strangers.ts";

const LFS_TYPE = "application/vnd.git-lfs+json";
const CHUNKED = "Transfer-Encoding: chunked\r\n";
const REFS = "GET /DNS/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: x\r\n";
/** Neither is there. */
const NO_OBJECT = "/DNS/info/lfs/objects/".padEnd(86, "0");

function authorizationOf(token: string): string {
  return `Authorization: ${String(bearer(token).Authorization)}\r\n`;
}

function put(more: string, object = NO_OBJECT): string {
  return `PUT ${object} HTTP/1.1\r\nHost: x\r\n${more}\r\n`;
}

function openOf(all: readonly Stranger[]): number {
  return all.filter(({ isClosed }) => !isClosed()).length;
}

/** A Git LFS object that fills every buffer; it is a hole, and nobody reads it to its end. */
function addLargeObject({ srv }: Served): string {
  const oid = createHash("sha256").update("large").digest("hex");
  const file = lfsStore(path.join(srv, "DNS")).pathOf(oid as Oid);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, "");
  truncateSync(file, 1024 * 1024 * 1024);
  return `/DNS/info/lfs/objects/${oid}`;
}

/** Uploads that do not come, downloads nobody takes, connections without a request, heads and trailers without an end. */
async function allKinds(
  t: Test,
  served: Served,
  count: number,
): Promise<Record<string, readonly Stranger[]>> {
  const object = addLargeObject(served);
  const token = authorizationOf(served.token.write);
  const oid = "1".repeat(64);
  const { objects } = await batch(
    served.url,
    "upload",
    [{ oid, size: 1_000_000 }],
    bearer(served.token.write),
  );
  const { Authorization: grant = "" } = objects[0]?.actions?.["upload"]?.header ?? {};
  const granted = `/DNS/info/lfs/objects/${oid}`;
  const length = "Content-Length: 1000000\r\n";
  const slow = (head: string, more: Partial<Parameters<typeof strangers>[2]> = {}) =>
    strangers(t, served, { count, head, drip: "0", ...more });
  const trailers = `${post("/DNS/info/lfs/objects/batch", LFS_TYPE, CHUNKED)}2\r\n{}\r\n0\r\nX: `;
  return {
    "anonymous uploads": slow(put(length)),
    "uploads with a token": slow(put(`${token}${length}`)),
    "uploads with a grant": slow(put(`Authorization: ${grant}\r\n${length}`, granted)),
    "chunked uploads": slow(put(`Authorization: ${grant}\r\n${CHUNKED}`, granted), { drip: "1\r\n0\r\n" }),
    "uploads from elsewhere": slow(put(`${token}${length}`), { localAddress: OTHER_ADDRESS }),
    pushes: slow(post("/DNS/git-receive-pack", PUSH_TYPE, `${token}${length}`)),
    downloads: slow(`GET ${object} HTTP/1.1\r\nHost: x\r\n\r\n`, { isReading: false, dripMs: NEVER_MS }),
    "kept alive": slow(`GET ${NO_OBJECT} HTTP/1.1\r\nHost: x\r\n\r\n`, { dripMs: NEVER_MS }),
    "empty lines": slow(`GET ${NO_OBJECT} HTTP/1.1\r\nHost: x\r\n\r\n`, { drip: "\r\n" }),
    "empty lines at first": slow("", { drip: "\r\n" }),
    "second heads": slow(`${REFS}\r\n`, { drip: "GET" }),
    heads: slow(`GET ${object} HTTP/1.1\r\nX: `, { drip: "x" }),
    trailers: slow(trailers, { drip: "x" }),
  };
}

function temporaryFiles({ srv }: Served): readonly string[] {
  const all = readdirSync(path.join(srv, "DNS"), { recursive: true, encoding: "utf8" });
  return all.filter((name) => name.endsWith(".tmp"));
}

async function serve(t: Test, limits: Partial<ServeLimits>): Promise<Served> {
  return withSmall(await serveHere(t, { limits }));
}

t.test(
  "whatever is slow or stands still, a clone and a push go through, and it ends by itself",
  async (t) => {
    const patient = { ...PATIENT, keepAliveTimeoutMs: NEVER_MS };
    const served = await serve(t, { ...patient, maxProcesses: 2, maxPushes: 1 });
    const held = await allKinds(t, served, 15);
    await until(() => temporaryFiles(served).length >= 60);
    await cloneWorks(t, served, "beside all kinds");
    await pushWorks(t, served, "beside all kinds");
    // What has been refused may be closed.
    const { "anonymous uploads": refused = [], "second heads": piled = [], ...rest } = held;
    for (const [kind, all] of Object.entries(rest)) t.equal(openOf(all), 15, `${kind}: there all the while`);
    t.ok(refused.length + piled.length > 0);

    const brisk = await serve(t, { paceWindowMs: 1000, headersTimeoutMs: 2000, keepAliveTimeoutMs: 1000 });
    const { downloads = [], ...kinds } = await allKinds(t, brisk, 2);
    // Who does not read does not learn of its end.
    const cut = (): readonly string[] => brisk.log.filter((line) => / GET \S+ 200 cut /.test(line));
    await until(() => cut().length === downloads.length);
    t.pass("downloads: closed");
    for (const [kind, all] of Object.entries(kinds)) {
      await until(() => openOf(all) === 0);
      t.pass(`${kind}: closed`);
    }
    await until(() => temporaryFiles(brisk).length === 0);
    t.pass("nothing is left of the uploads");
    await cloneWorks(t, brisk, "after them");
  },
);

t.test("bodies in crumbs are refused, whoever reads them or does not yet", async (t) => {
  const served = await serve(t, { ...PATIENT, maxProcesses: 1 });
  const token = authorizationOf(served.token.write);
  const crumbs = "1\r\n0\r\n".repeat(5000);
  const heads = {
    fetch: post("/DNS/git-upload-pack", READ_TYPE, CHUNKED),
    push: post("/DNS/git-receive-pack", PUSH_TYPE, `${token}${CHUNKED}`),
    batch: post("/DNS/info/lfs/objects/batch", LFS_TYPE, CHUNKED),
    refs: `${REFS}${CHUNKED}\r\n`,
    download: `GET ${addLargeObject(served)} HTTP/1.1\r\nHost: x\r\n${CHUNKED}\r\n`,
    refused: post("/none/git-upload-pack", READ_TYPE, CHUNKED),
  };
  for (const [what, head] of Object.entries(heads)) {
    const isReading = what !== "download";
    const all = strangers(t, served, { count: 5, head: head + crumbs, drip: crumbs, isReading });
    await until(() => openOf(all) === 0);
    t.pass(what);
  }
  t.ok(served.log.some((line) => line.endsWith('"expected chunks of 64 bytes or more"')));
  await cloneWorks(t, served, "after them");
  const letters = '{"operation":"download","objects":[]}'.split("");
  const few = letters.map((letter) => `1\r\n${letter}\r\n`).join("");
  const [stranger] = strangers(t, served, {
    count: 1,
    head: `${heads.batch}${few}0\r\n\r\n`,
    isReading: false,
  });
  const [answer] = (await once(stranger!.socket, "data")) as [Buffer];
  t.match(answer.toString(), "HTTP/1.1 200 OK", "some small ones are not");
});

t.test("what is kept of a body takes the memory of its bytes", async (t) => {
  const slab = Buffer.alloc(1024 * 1024, "0");
  const chunks = Array.from({ length: 200 }, (_, at) => slab.subarray(at * 5000, at * 5000 + 1000));
  const pieces: Buffer[] = [];
  for await (const piece of piecesOf(Readable.from(chunks, { objectMode: false }))) pieces.push(piece);
  t.same(
    pieces.map(({ length }) => length),
    [65_536, 65_536, 65_536, 3392],
  );
  t.ok(
    pieces.every(({ buffer }) => buffer.byteLength <= 65_536),
    "and no view of all that was read",
  );
});

t.test(
  "no address has more than half of the memory for requests, and nobody keeps it by being slow",
  async (t) => {
    const served = await serve(t, { ...PATIENT, maxBodyMemoryBytes: 1_000_000 });
    const wanted = packetLine(`want ${git(path.join(served.folder, "work"), "rev-parse", "HEAD")}\n`);
    const large = `${wanted}0000${packetLine(`have ${"1".repeat(40)}\n`).repeat(9000)}0009done\n`;
    const fetching = async ({ url }: Served, body = large): Promise<number> =>
      (
        await ask(url, {
          method: "POST",
          path: "/DNS/git-upload-pack",
          headers: { "Content-Type": READ_TYPE },
          body,
        })
      ).status;
    const untilAnswered = async (server: Served, status: number): Promise<void> => {
      let found = 0;
      for (let turn = 0; turn < 1000 && found !== status; turn += 1) {
        found = await fetching(server);
        if (found !== status) await sleep(50);
      }
      t.equal(found, status);
    };
    const hold = (server: Served, localAddress: string): Stranger => {
      const head = post("/DNS/git-upload-pack", READ_TYPE, "Content-Length: 900000\r\n") + large;
      return strangers(t, server, { count: 1, head, drip: "0", localAddress })[0]!;
    };
    const first = hold(served, OTHER_ADDRESS);
    const second = hold(served, OTHER_ADDRESS);
    await until(() => first.isClosed() !== second.isClosed());
    let third = hold(served, "127.0.0.3");
    for (let turn = 0; turn < 1000 && (await fetching(served)) !== 503; turn += 1) {
      // A fetch that was answered may have kept it out: its memory is free only when git has ended.
      if (third.isClosed()) third = hold(served, "127.0.0.3");
      await sleep(50);
    }
    await untilAnswered(served, 503);
    t.notOk(third.isClosed(), "the other half is for others");
    const none = await serveHere(t, { limits: { maxBodyMemoryBytes: 0 } });
    t.equal(await fetching(none, "0000"), 200, "small requests take none");
    for (const { socket } of [first, second, third]) socket.destroy();
    await untilAnswered(served, 200);

    const limits = { patienceMs: 500, paceWindowMs: NEVER_MS, maxBodyMemoryBytes: 1_000_000 };
    const brisk = await serve(t, limits);
    let held = [OTHER_ADDRESS, "127.0.0.3"].map((address) => ({ address, ...hold(brisk, address) }));
    const isCut = (): boolean => brisk.log.some((line) => line.includes("/git-upload-pack 200 cut"));
    for (let turn = 0; turn < 1000 && !isCut(); turn += 1) {
      held = held.map((one) => (one.isClosed() ? { ...one, ...hold(brisk, one.address) } : one));
      await fetching(brisk);
    }
    t.ok(isCut(), "who stands still makes room");
    await untilAnswered(brisk, 200);
  },
);

t.test("behind a proxy all clients have one address, and nothing is shared out by it", async (t) => {
  const options = { publicUrl: "http://git.example.org" };
  const limits = { ...PATIENT, maxConnections: 8, maxBodyMemoryBytes: 3_000_000 };
  const served = await serveHere(t, { ...options, limits });
  const head = `${post("/DNS/git-upload-pack", READ_TYPE, "Content-Length: 900000\r\n")}${"0".repeat(450_000)}`;
  const seven = strangers(t, served, { count: 7, head, drip: "0" });
  await sleep(500);
  t.equal((await ask(served.url, { path: "/DNS/info/refs?service=git-upload-pack" })).status, 200);
  t.equal(openOf(seven), 7, "all but one of the connections, and most of the memory");
});
