import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import path from "node:path";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import type { Oid } from "../../src/disk/object-store.ts";
import { createRepository } from "../../src/setup/create.ts";
import { lfsStore } from "../../src/lfs/local-store.ts";
import { parseByteRange } from "../../src/serve/byte-range.ts";
import { createGranter } from "../../src/serve/grant.ts";
import { addToken, readTokens, removeToken } from "../../src/serve/token-file.ts";
import {
  ask,
  batch,
  bearer,
  gitRefusal,
  gitWith,
  makeCertificate,
  makeClone,
  serveAsProcess,
  serveHere,
  type Served,
} from "./served.ts";
import { PATIENT } from "./strangers.ts";
import { git, until, gitAt } from "../git/git-fixture.ts";

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

function objectFile(served: Served, oid: string): string {
  return lfsStore(path.join(served.srv, "DNS")).pathOf(oid as Oid);
}

/** Puts an object on the server's disk. */
function storeObject(served: Served, bytes: Buffer): string {
  const oid = sha256(bytes);
  mkdirSync(path.dirname(objectFile(served, oid)), { recursive: true });
  writeFileSync(objectFile(served, oid), bytes);
  return oid;
}

function writeHook(served: Served, name: string, script: string): void {
  const file = path.join(served.srv, "DNS/hooks", name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
}

t.test("stock git and git-lfs: push, clone, shallow clone, fetch; hooks know who pushes", async (t) => {
  const served = await serveAsProcess(t, "--writable");
  const { clone, oid, bytes } = await makeClone(served);
  writeHook(
    served,
    "pre-receive",
    'echo "pushed by $REMOTE_USER"; while read old new ref; do test "$ref" != refs/heads/no || exit 1; done',
  );
  const { stderr } = await gitWith(served.token.write, clone, "push", "origin", "main");
  t.match(stderr, "pushed by writer", "the name of the token is REMOTE_USER, and the hook's words arrive");
  t.same(readFileSync(objectFile(served, oid)), bytes);
  t.match(
    await gitRefusal(served.token.write, clone, "push", "origin", "main:no"),
    "pre-receive hook declined",
  );

  const second = path.join(served.folder, "second");
  await gitWith(undefined, served.folder, "clone", "--quiet", `${served.url}/DNS.git`, second);
  t.same(readFileSync(path.join(second, "a.pack")), bytes, "a clone needs no token");
  writeFileSync(path.join(clone, "big.txt"), randomBytes(2_000_000).toString("hex"));
  git(clone, "add", "--all");
  git(clone, "commit", "--quiet", "--message", "two");
  await gitWith(served.token.write, clone, "push", "--quiet", "origin", "main");
  await gitWith(undefined, second, "pull", "--quiet");
  t.equal(git(second, "rev-parse", "HEAD"), git(clone, "rev-parse", "HEAD"));
  const shallow = path.join(served.folder, "shallow");
  await gitWith(undefined, served.folder, "clone", "--quiet", "--depth=1", `${served.url}/DNS`, shallow);
  t.equal(git(shallow, "rev-list", "--count", "HEAD"), "1");
  await gitWith(undefined, served.folder, "-c", "protocol.version=0", "ls-remote", `${served.url}/DNS`);
  t.notOk(
    served.log.some((line) => line.includes(served.token.write) || line.includes("cui-lfs.")),
    "no token in the log",
  );
  t.ok(served.log.some((line) => / 127\.0\.0\.1 writer POST \/DNS\/git-receive-pack 200 \d+ms$/.test(line)));
});

t.test("git-lfs goes on where an interrupted download ended", async (t) => {
  const served = await serveAsProcess(t, "--writable");
  const { clone, oid, bytes } = await makeClone(served, { bytes: randomBytes(3_000_000) });
  await gitWith(served.token.write, clone, "push", "--quiet", "origin", "main");
  const second = path.join(served.folder, "second");
  process.env["GIT_LFS_SKIP_SMUDGE"] = "1";
  t.teardown(() => Reflect.deleteProperty(process.env, "GIT_LFS_SKIP_SMUDGE"));
  await gitWith(undefined, served.folder, "clone", "--quiet", `${served.url}/DNS`, second);
  mkdirSync(path.join(second, ".git/lfs/incomplete"), { recursive: true });
  for (const suffix of ["part", "tmp"])
    // which one depends on the release
    writeFileSync(path.join(second, `.git/lfs/incomplete/${oid}.${suffix}`), bytes.subarray(0, 1_000_000));
  await gitWith(undefined, second, "lfs", "pull");
  t.same(readFileSync(path.join(second, "a.pack")), bytes);
  await until(() => served.log.some((line) => line.includes(`GET /DNS.git/info/lfs/objects/${oid} 206`)));
});

t.test("tokens: wrong, missing, reading only, revoked, a broken file", async (t) => {
  const served = await serveHere(t);
  const { clone } = await makeClone(served);
  const push = (token: string | undefined): Promise<string | undefined> =>
    gitRefusal(token, clone, "push", "--no-verify", "origin", "main");
  t.match(await push(undefined), /could not read Username|Authentication failed/);
  t.match(await push("cui_wrong"), "Authentication failed");
  t.match(await push(served.token.read), "403");
  t.match(
    await gitRefusal("cui_wrong", clone, "-c", "http.proactiveAuth=basic", "ls-remote", "origin"),
    undefined,
  );
  const refs = "/DNS/info/refs?service=git-upload-pack";
  t.equal(
    (await ask(served.url, { path: refs, headers: bearer("cui_wrong") })).status,
    401,
    "a wrong one is not anonymous",
  );
  t.equal((await ask(served.url, { path: refs, headers: bearer(served.token.read) })).status, 200);
  const basic = `Basic ${Buffer.from(`anybody:${served.token.write}`).toString("base64")}`;
  const receive = "/DNS/info/refs?service=git-receive-pack";
  t.equal((await ask(served.url, { path: receive, headers: { Authorization: basic } })).status, 200);
  t.equal((await ask(served.url, { path: receive, headers: { Authorization: "Basic !" } })).status, 401);
  await removeToken(served.tokensFile, "writer");
  t.equal(
    (await ask(served.url, { path: receive, headers: { Authorization: basic } })).status,
    401,
    "at once",
  );
  writeFileSync(served.tokensFile, "format: 2\n");
  t.equal((await ask(served.url, { path: receive, headers: { Authorization: basic } })).status, 503);
  t.equal((await ask(served.url, { path: refs })).status, 200, "anonymous reading goes on");
  t.ok(served.log.some((line) => line.startsWith("warning:")));
});

t.test(
  "a private server shows nothing without a token; a read-only one takes nothing with any",
  async (t) => {
    const served = await serveHere(t, { isPrivate: true, isWritable: false });
    const refs = (name: string, service: string): string => `/${name}/info/refs?service=git-${service}`;
    for (const name of ["DNS", "none"]) {
      const answer = await ask(served.url, { path: refs(name, "upload-pack") });
      t.equal(answer.status, 401, `${name}: the same answer whether or not it exists`);
      t.match(answer.headers["www-authenticate"], /^Basic/);
    }
    const oid = storeObject(served, Buffer.from("secret"));
    t.equal((await batch(served.url, "download", [{ oid, size: 6 }])).status, 401);
    t.equal((await ask(served.url, { path: `/DNS/info/lfs/objects/${oid}` })).status, 401);
    const authorized = bearer(served.token.read);
    t.equal((await ask(served.url, { path: refs("DNS", "upload-pack"), headers: authorized })).status, 200);
    const [object] = (await batch(served.url, "download", [{ oid, size: 6 }], authorized)).objects;
    const { href, header } = object!.actions!["download"]!;
    t.not(header["Authorization"], authorized["Authorization"], "a grant, not the token");
    t.equal(
      (await ask(served.url, { path: new URL(href).pathname, headers: header })).body.toString(),
      "secret",
    );
    const second = path.join(served.folder, "clone");
    await gitWith(served.token.read, served.folder, "clone", "--quiet", `${served.url}/DNS`, second);

    const write = bearer(served.token.write);
    t.equal((await ask(served.url, { path: refs("DNS", "receive-pack"), headers: write })).status, 403);
    t.equal((await batch(served.url, "upload", [{ oid, size: 7 }], write)).status, 403);
    const put = { method: "PUT", path: `/DNS/info/lfs/objects/${oid}`, headers: write, body: "secret" };
    t.equal((await ask(served.url, put)).status, 403);
    const post = { method: "POST", path: "/DNS/git-receive-pack", headers: write, body: "0000" };
    t.equal((await ask(served.url, post)).status, 403);
  },
);

t.test("only bare repositories below the folder, and of them only what the protocols need", async (t) => {
  const served = await serveHere(t);
  const { srv, folder } = served;
  await createRepository(gitAt(path.join(folder, "outside")));
  await createRepository(gitAt(path.join(srv, "team/Web.git")));
  await createRepository(gitAt(path.join(srv, "DNS/inner")));
  symlinkSync(path.join(folder, "outside"), path.join(srv, "linked"));
  symlinkSync("team", path.join(srv, "group"));
  await createRepository(gitAt(path.join(srv, "half")));
  symlinkSync(path.join(folder, "outside/objects"), path.join(srv, "half/elsewhere"));
  git(srv, "init", "--quiet", "tree");
  await createRepository(gitAt(path.join(srv, "swapped")));
  execFileSync("rm", ["-r", path.join(srv, "swapped/objects")]);
  symlinkSync(path.join(folder, "outside/objects"), path.join(srv, "swapped/objects"));
  const statusOf = async (name: string, rest = "/info/refs?service=git-upload-pack"): Promise<number> =>
    (await ask(served.url, { path: `/${name}${rest}` })).status;
  for (const name of ["DNS", "DNS.git", "team/Web", "team/Web.git", "group/Web", "%44NS"])
    t.equal(await statusOf(name), 200, name);
  const hidden = ["../outside", "%2e%2e/outside", "..%2foutside", "team/../../outside", "linked", "swapped"];
  for (const name of [
    ...hidden,
    "tree",
    "tree/.git",
    ".git",
    "DNS/inner",
    "team",
    "a%00b",
    "-x",
    "%ff",
    "x".repeat(2000),
  ])
    t.equal(await statusOf(name), 404, name.slice(0, 40));
  for (const rest of [
    "/config",
    "/HEAD",
    "/objects/info/packs",
    "/hooks/pre-receive",
    "/lfs/objects",
    "/git-upload-archive",
  ])
    t.equal(await statusOf("DNS", rest), 404, rest);
  t.equal(await statusOf("DNS", "/info/refs"), 403, "the dumb protocol is off");
  t.equal(await statusOf("DNS", "/info/refs?service=git-upload-archive"), 403);
  t.equal(await statusOf("DNS", "/git-upload-pack"), 405);
  t.equal(await statusOf("DNS", "/info/lfs/locks"), 404);
  const wrong = { method: "POST", path: "/DNS/git-upload-pack", body: "0000" };
  t.equal((await ask(served.url, { ...wrong, headers: { "Content-Type": "text/plain" } })).status, 415);
  const type = { "Content-Type": "application/x-git-upload-pack-request" };
  t.equal((await ask(served.url, { ...wrong, headers: { ...type, "Content-Encoding": "br" } })).status, 415);

  const secret = Buffer.from("not for the world");
  writeFileSync(path.join(folder, "secret"), secret);
  const oid = sha256(secret);
  mkdirSync(path.dirname(objectFile(served, oid)), { recursive: true });
  symlinkSync(path.join(folder, "secret"), objectFile(served, oid));
  t.equal(
    await statusOf("DNS", `/info/lfs/objects/${oid}`),
    404,
    "an object that is a link out of the folder",
  );
  symlinkSync(folder, path.join(srv, "team/Web.git/lfs"));
  const put = {
    method: "PUT",
    path: `/team/Web/info/lfs/objects/${oid}`,
    headers: bearer(served.token.write),
  };
  t.equal((await ask(served.url, { ...put, body: secret })).status, 403, "a store that is one");
  t.notOk(existsSync(path.join(folder, "objects")));
});

t.test("objects in part", async (t) => {
  const served = await serveHere(t);
  const bytes = randomBytes(1000);
  const oid = storeObject(served, bytes);
  const get = (range: string | undefined, method = "GET") =>
    ask(served.url, {
      method,
      path: `/DNS/info/lfs/objects/${oid}`,
      headers: range === undefined ? {} : { Range: range },
    });
  for (const [range, start, end] of [
    ["bytes=0-0", 0, 0],
    ["bytes=10-19", 10, 19],
    ["bytes=990-", 990, 999],
    ["bytes=990-5000", 990, 999],
    ["bytes=-10", 990, 999],
    ["bytes=-5000", 0, 999],
  ] as const) {
    const { status, headers, body } = await get(range);
    t.match(
      { status, range: headers["content-range"] },
      { status: 206, range: `bytes ${start}-${end}/1000` },
      range,
    );
    t.same(body, bytes.subarray(start, end + 1));
  }
  const beyond = await get("bytes=1000-");
  t.match([beyond.status, beyond.headers["content-range"]], [416, "bytes */1000"]);
  for (const range of [undefined, "bytes=0-1,5-6", "lines=1-2", "bytes=9-1", "bytes=-", "bytes=a-b"]) {
    const { status, body } = await get(range);
    t.match([status, body.length], [200, 1000], range ?? "none");
  }
  t.match(await get("bytes=10-19", "HEAD"), {
    status: 206,
    headers: { "content-length": "10" },
    body: { length: 0 },
  });
  t.equal(parseByteRange("bytes=0-0", 0), "unsatisfiable");
  t.equal(parseByteRange("bytes=-0", 10), "unsatisfiable");
});

t.test("uploads enter whole and verified, or not at all", async (t) => {
  const served = await serveHere(t, { limits: { maxObjectBytes: 1_000_000 } });
  const write = bearer(served.token.write);
  const bytes = randomBytes(200_000);
  const oid = sha256(bytes);
  const put = (name: string, body: Uint8Array | Readable, headers = {}) =>
    ask(served.url, {
      method: "PUT",
      path: `/DNS/info/lfs/objects/${name}`,
      headers: { ...write, ...headers },
      body,
    });
  const leftovers = (): string[] =>
    readdirSync(path.join(served.srv, "DNS"), { recursive: true, encoding: "utf8" }).filter((name) =>
      name.endsWith(".tmp"),
    );

  t.equal((await put("0".repeat(64), bytes)).status, 422, "another digest");
  t.equal(
    (await put(oid, bytes, { "Content-Length": bytes.length, "Content-Encoding": "gzip" })).status,
    415,
  );
  t.equal((await put(oid, Buffer.alloc(2_000_000))).status, 413, "larger than the server takes");
  t.equal((await put(oid, Readable.from([bytes]))).status, 411, "no length and no grant");
  const cut = ask(served.url, {
    method: "PUT",
    path: `/DNS/info/lfs/objects/${oid}`,
    headers: { ...write, "Content-Length": bytes.length },
    body: Readable.from(
      (function* () {
        yield bytes.subarray(0, 1000);
        throw new Error("cut");
      })(),
    ).on("error", () => undefined),
  }).catch(() => undefined);
  await Promise.race([cut, sleep(300)]);

  const [object] = (await batch(served.url, "upload", [{ oid, size: bytes.length }], write)).objects;
  const { upload, verify } = object!.actions!;
  const path_ = new URL(upload!.href).pathname;
  const endless = Readable.from(
    (function* () {
      for (;;) yield Buffer.alloc(65_536);
    })(),
  );
  const refused = await ask(served.url, {
    method: "PUT",
    path: path_,
    headers: upload!.header,
    body: endless,
  });
  t.equal(refused.status, 413, "an endless body ends where the grant ends, and its sender is told");
  const verifying = { method: "POST", path: new URL(verify!.href).pathname, headers: verify!.header };
  t.equal(
    (await ask(served.url, { ...verifying, body: JSON.stringify({ oid, size: bytes.length }) })).status,
    404,
  );
  const same = await Promise.all(
    [1, 2, 3].map(() =>
      ask(served.url, { method: "PUT", path: path_, headers: upload!.header, body: bytes }),
    ),
  );
  t.same(
    same.map(({ status }) => status),
    [200, 200, 200],
    "three at once",
  );
  t.same(readFileSync(objectFile(served, oid)), bytes);
  t.equal(
    (await ask(served.url, { ...verifying, body: JSON.stringify({ oid, size: bytes.length }) })).status,
    200,
  );
  t.equal((await ask(served.url, { ...verifying, body: JSON.stringify({ oid, size: 1 }) })).status, 422);
  t.equal(
    (await ask(served.url, { ...verifying, body: JSON.stringify({ oid: "1".repeat(64), size: 1 }) })).status,
    403,
  );
  t.notOk(
    (await batch(served.url, "upload", [{ oid, size: bytes.length }], write)).objects[0]!.actions,
    "it is here",
  );
  t.match((await batch(served.url, "upload", [{ oid: "2".repeat(64), size: 2e6 }], write)).objects, [
    { error: { code: 422 } },
  ]);
  await until(() => leftovers().length <= 1);
  t.pass("refused uploads leave nothing");

  const big = randomBytes(20_000_000);
  const early = await ask(served.url, { method: "PUT", path: path_, body: big });
  t.equal(early.status, 401, "a refusal reaches a client that is still sending");
});

t.test("the batch API refuses what it cannot mean", async (t) => {
  const served = await serveHere(t);
  const oid = storeObject(served, Buffer.from("abc"));
  const wanted = [
    { oid, size: 3 },
    { oid, size: 4 },
    { oid: "0".repeat(64), size: 1 },
    { oid: "../../config", size: 1 },
  ];
  const { objects } = await batch(served.url, "download", wanted);
  t.match(objects, [
    { actions: { download: {} } },
    { error: { code: 422 } },
    { error: { code: 404 } },
    { error: { code: 422 } },
  ]);
  const send = (body: string, headers = {}) =>
    ask(served.url, { method: "POST", path: "/DNS/info/lfs/objects/batch", body, headers });
  t.equal((await send("{")).status, 400);
  t.equal((await send("{}")).status, 422);
  t.equal((await send(JSON.stringify({ operation: "download", hash_algo: "md5", objects: [] }))).status, 409);
  t.equal((await send("x".repeat(2_000_000))).status, 413);
  t.equal((await send("{}", { "Content-Encoding": "gzip" })).status, 415);
  const many = Array.from({ length: 1001 }, () => ({ oid, size: 3 }));
  t.equal((await batch(served.url, "download", many)).status, 413);
  t.equal((await send(JSON.stringify({ operation: "download", objects: [] }), { Host: "a b" })).status, 400);
});

t.test("a grant opens one object of one repository in one direction for a while", async (t) => {
  const served = await serveHere(t, { isPrivate: true });
  await createRepository(gitAt(path.join(served.srv, "Web")));
  const oid = storeObject(served, Buffer.from("abc"));
  const [object] = (await batch(served.url, "download", [{ oid, size: 3 }], bearer(served.token.read)))
    .objects;
  const { header } = object!.actions!["download"]!;
  const statusOf = async (target: string, method = "GET", headers = header): Promise<number> =>
    (await ask(served.url, { method, path: target, headers, ...(method === "PUT" ? { body: "abc" } : {}) }))
      .status;
  t.equal(await statusOf(`/DNS/info/lfs/objects/${oid}`), 200);
  const payload = Buffer.from(header["Authorization"]!.split(".")[1]!, "base64url").toString();
  t.notOk(payload.includes(served.srv), "no path of the server in it");
  t.equal(await statusOf(`/DNS/info/lfs/objects/${"0".repeat(64)}`), 401, "another object");
  t.equal(await statusOf(`/Web/info/lfs/objects/${oid}`), 401, "another repository");
  t.equal(await statusOf(`/DNS/info/lfs/objects/${oid}`, "PUT"), 401, "another direction");
  t.equal(await statusOf("/DNS/info/refs?service=git-upload-pack"), 401, "git");
  const forged = { Authorization: `${header["Authorization"]!.slice(0, -3)}AAA` };
  t.equal(await statusOf(`/DNS/info/lfs/objects/${oid}`, "GET", forged), 401);
  const granter = createGranter();
  const grant = {
    repository: "x",
    oid: oid as Oid,
    operation: "download",
    sizeBytes: 3,
    name: undefined,
  } as const;
  t.ok(granter.verify(granter.grant({ ...grant, expiresAtMs: Date.now() + 600_000 })));
  t.notOk(granter.verify(granter.grant({ ...grant, expiresAtMs: Date.now() - 1 })), "expired");
});

t.test("20 clones at once with few programs; more than may wait are told to come back", async (t) => {
  const served = await serveHere(t, { limits: { maxProcesses: 2, maxWaiting: 100 } });
  const { clone, bytes } = await makeClone(served);
  await gitWith(served.token.write, clone, "push", "--quiet", "origin", "main");
  let most = 0;
  const counting = setInterval(() => {
    most = Math.max(most, childrenNamed("http-backend"));
  }, 20);
  await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const to = path.join(served.folder, `clone-${index}`);
      await gitWith(undefined, served.folder, "clone", "--quiet", `${served.url}/DNS`, to);
      t.same(readFileSync(path.join(to, "a.pack")), bytes);
    }),
  );
  clearInterval(counting);
  t.ok(most <= 2, `never more than 2 at once, saw ${most}`);

  const small = await serveHere(t, { limits: { maxProcesses: 1, maxWaiting: 1 } });
  const path_ = "/DNS/info/refs?service=git-upload-pack";
  const answers = await Promise.all(Array.from({ length: 8 }, () => ask(small.url, { path: path_ })));
  const statuses = answers.map(({ status }) => status).sort();
  t.equal(statuses[0], 200);
  t.equal(statuses.at(-1), 503);
});

/** Programs started by this process whose command line holds a word. */
function childrenNamed(word: string): number {
  const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, "utf8");
  return children.split(" ").filter((pid) => commandLineOf(pid).includes(word)).length;
}

/** Empty when it has ended meanwhile. */
function commandLineOf(pid: string): string {
  try {
    return pid === "" ? "" : readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

t.test(
  "bounds: a pack that is too large, a client that stands still, one that never says what it wants",
  async (t) => {
    const served = await serveHere(t, { limits: { maxPushBytes: 100_000 } });
    const impatient = await serveHere(t, { limits: { ...PATIENT, idleTimeoutMs: 1000 } });
    const { clone } = await makeClone(served);
    writeFileSync(path.join(clone, "big"), randomBytes(500_000));
    git(clone, "add", "--all");
    git(clone, "commit", "--quiet", "--message", "big");
    t.match(
      await gitRefusal(served.token.write, clone, "push", "--no-verify", "origin", "main"),
      /exceeds maximum allowed size|unpack/,
    );
    t.equal(git(path.join(served.srv, "DNS"), "for-each-ref"), "");
    const type = "application/x-git-upload-pack-request";
    const request = { method: "POST", path: "/DNS/git-upload-pack", headers: { "Content-Type": type } };
    t.equal((await ask(served.url, { ...request, body: Buffer.alloc(17 * 1024 * 1024, "0") })).status, 413);
    const unknownLength = ask(served.url, {
      ...request,
      body: Readable.from(Array.from({ length: 300 }, () => Buffer.alloc(65_536, "0009done\n"))),
    });
    t.not(
      (await unknownLength.catch(() => ({ status: 0 }))).status,
      200,
      "nor one whose length is not known",
    );
    const { port } = new URL(impatient.url);
    const silent = async (text: string): Promise<number> => {
      const startedAt = Date.now();
      const socket = connect(Number(port), "127.0.0.1");
      socket.write(text);
      socket.resume();
      await new Promise<void>((resolve) =>
        socket
          .on("close", () => {
            resolve();
          })
          .on("error", () => undefined),
      );
      return Date.now() - startedAt;
    };
    const half = `POST /DNS/git-upload-pack HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\nContent-Length: 100\r\n\r\n00`;
    const [nothing, head, body] = await Promise.all([silent(""), silent("GET /DNS"), silent(half)]);
    for (const elapsed of [nothing, head, body]) t.ok(elapsed < 60_000, `${elapsed} ms`);
    await until(() => childrenNamed("http-backend") === 0);
    t.pass("and its program is gone");
  },
);

t.test("200 MB up and down in bounded memory", async (t) => {
  const served = await serveAsProcess(t, "--writable");
  const size = 200_000_000;
  const source = path.join(served.folder, "big");
  writeFileSync(source, "x");
  truncateSync(source, size);
  const oid = execFileSync("sha256sum", [source], { encoding: "utf8" }).slice(0, 64);
  const peak = (): number => {
    const status = readFileSync(`/proc/${served.process.pid ?? 0}/status`, "utf8");
    return Number(/VmHWM:\s*(\d+)/.exec(status)?.[1]) / 1024;
  };
  await ask(served.url, { path: "/DNS/info/refs?service=git-upload-pack" });
  const before = peak();
  const { createReadStream } = await import("node:fs");
  const headers = { ...bearer(served.token.write), "Content-Length": size };
  const target = `/DNS/info/lfs/objects/${oid}`;
  t.equal(
    (await ask(served.url, { method: "PUT", path: target, headers, body: createReadStream(source) })).status,
    200,
  );
  t.equal(statSync(objectFile(served, oid)).size, size);
  execFileSync("curl", [
    "--silent",
    "--fail",
    "--output",
    path.join(served.folder, "out"),
    `${served.url}${target}`,
  ]);
  execFileSync("cmp", [source, path.join(served.folder, "out")]);
  t.comment(`peak ${before.toFixed(0)} MiB before, ${peak().toFixed(0)} MiB after`);
  t.ok(peak() - before < 150, `grew by ${(peak() - before).toFixed(0)} MiB`);
});

t.test("told to end, it lets a push end with its hooks; what does not end is ended", async (t) => {
  const served = await serveAsProcess(t, "--writable");
  const { clone } = await makeClone(served);
  writeHook(served, "pre-receive", "touch hook-runs; sleep 1.5");
  const pushing = gitWith(served.token.write, clone, "push", "--quiet", "origin", "main");
  pushing.catch(() => undefined);
  await until(() => existsSync(path.join(served.srv, "DNS/hook-runs")));
  served.process.kill("SIGTERM");
  await pushing;
  t.equal(await served.exitCode, 0);
  t.equal(git(path.join(served.srv, "DNS"), "rev-parse", "main"), git(clone, "rev-parse", "HEAD"));
  await t.rejects(ask(served.url, { path: "/" }), "nobody listens any more");
});

t.test("https, and what `cui serve` refuses", async (t) => {
  const folder = t.testdir({ srv: {}, "bad.pem": "no certificate" });
  const { cert, key } = makeCertificate(folder);
  const served = await serveAsProcess(t, "--writable", "--tls-cert", cert, "--tls-key", key);
  t.match(served.url, /^https:/);
  const { clone, bytes } = await makeClone(served);
  process.env["GIT_SSL_CAINFO"] = cert; // before whatever the machine has set
  t.teardown(() => Reflect.deleteProperty(process.env, "GIT_SSL_CAINFO"));
  await gitWith(served.token.write, clone, "push", "--quiet", "origin", "main");
  const second = path.join(folder, "second");
  await gitWith(undefined, folder, "clone", "--quiet", `${served.url}/DNS`, second);
  t.same(readFileSync(path.join(second, "a.pack")), bytes);

  const refused = refusalOf(t, folder);
  const { port } = new URL(served.url);
  refused(["srv", "--listen", "0.0.0.0:0"], 1, "SERVE_LISTEN_INSECURE");
  refused(["srv", "--listen", `127.0.0.1:${port}`], 1, "SERVE_LISTEN_FAILED");
  refused(["none", "--listen", "0"], 1, "SERVE_FOLDER_MISSING");
  refused(["srv", "--listen", "0", "--tls-cert", "bad.pem", "--tls-key", "bad.pem"], 1, "SERVE_TLS_INVALID");
  refused(["srv", "--listen", "0", "--tokens", "bad.pem"], 1, "SERVE_TOKENS_INVALID");
  refused(["token", "add", "a b", "--tokens", "t.yaml"], 1, "SERVE_TOKEN_NAME");
  refused(["token", "remove", "nobody", "--tokens", "t.yaml"], 1, "SERVE_TOKEN_NAME");
  refused(["srv", "--writable"], 2, "USAGE");
  refused(["srv", "--listen", "x:y"], 2, "USAGE");
  refused(["srv", "--url", "ftp://x"], 2, "USAGE");
  refused(["srv", "--tls-cert", "bad.pem"], 2, "USAGE");
  refused(["srv", "--max-processes", "0"], 2, "USAGE");
});

function refusalOf(t: Test, cwd: string): (args: string[], status: number, code: string) => void {
  return (args, status, code) => {
    try {
      execFileSync(process.execPath, [path.resolve("dist/cui.js"), "serve", ...args], {
        cwd,
        timeout: 120_000,
        stdio: "pipe",
      });
      t.fail(`${args.join(" ")} was not refused`);
    } catch (error) {
      const failed = error as { status: number; stderr: Buffer };
      t.equal(failed.status, status, args.join(" "));
      t.match(failed.stderr.toString(), code);
    }
  };
}

t.test("the token file keeps what its owner wrote around the tokens", async (t) => {
  const file = path.join(t.testdir({}), "tokens.yaml");
  const mine = `# ours\r\nformat: 1\r\ntokens:   # who\r\n- {name: a, sha256: "${sha256(Buffer.from("a"))}", rights: read}  # a's\r\n`;
  writeFileSync(file, mine);
  await addToken(file, "ci", "write");
  const added = readFileSync(file, "utf8");
  t.ok(added.startsWith(mine));
  t.match(added.slice(mine.length), /^- \{ name: ci, sha256: \w{64}, rights: write \}\r\n$/);
  await removeToken(file, "ci");
  t.equal(readFileSync(file, "utf8"), mine);
  await removeToken(file, "a");
  t.equal(readFileSync(file, "utf8"), "# ours\r\nformat: 1\r\ntokens: []   # who\r\n");
  await addToken(file, "on", "read");
  t.match(await readTokens(file), [{ name: "on" }]);
});

t.test("the token file holds digests only", async (t) => {
  const file = path.join(t.testdir({}), "tokens.yaml");
  t.same(await readTokens(file), []);
  const token = await addToken(file, "ci", "write");
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.notOk(readFileSync(file, "utf8").includes(token));
  t.match(await readTokens(file), [{ name: "ci", sha256: sha256(Buffer.from(token)), rights: "write" }]);
  await t.rejects(addToken(file, "ci", "read"), { code: "SERVE_TOKEN_NAME" });
  for (const text of ["[", "format: 1\ntokens: [{name: a, token: clear}]", "format: 1\ntokens: &a [*a]"]) {
    writeFileSync(file, text);
    await t.rejects(readTokens(file), { code: "SERVE_TOKENS_INVALID" }, text);
  }
  const twice = `{ name: a, sha256: ${"0".repeat(64)}, rights: read }`.replace(/0{64}/, "ab".repeat(32));
  writeFileSync(file, `format: 1\ntokens: [${twice}, ${twice}]`);
  await t.rejects(readTokens(file), { code: "SERVE_TOKENS_INVALID", message: /twice/ });
});
