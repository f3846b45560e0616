import { createHash, randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import t, { type Test } from "tap";
import type { Oid } from "../../src/disk/object-store.ts";
import { createRepository } from "../../src/setup/create.ts";
import { tokenEnvironment } from "../../src/git/tokens.ts";
import { expiryOf, findEndpoint } from "../../src/lfs/endpoint.ts";
import { openLfsClient, type LfsClient } from "../../src/lfs/client.ts";
import { lfsStore } from "../../src/lfs/local-store.ts";
import type { LfsPointer } from "../../src/lfs/pointer.ts";
import { openMirror } from "../../src/appliance/mirror.ts";
import { publish } from "../../src/publish/publish.ts";
import { makeDisk, writeAppliance } from "../appliance/appliance-fixture.ts";
import { askedObjects, faultyServer, sendBatch, sendContent, type FaultyServer } from "./faulty-server.ts";
import { serveHere, type Served } from "../serve/served.ts";
import { git, gitAt } from "../git/git-fixture.ts";

interface Prepared {
  readonly client: LfsClient;
  readonly local: ReturnType<typeof lfsStore>;
  readonly folder: string;
}

/** A client with an empty store, quick to try again. */
async function prepare(t: Test, url: string): Promise<Prepared> {
  const folder = path.join(
    existsSync(t.testdirName) ? t.testdirName : t.testdir({}),
    `local-${randomBytes(4).toString("hex")}`,
  );
  await createRepository(gitAt(folder));
  const http = { tries: 3, firstDelayMs: 10, maxRetryAfterMs: 1500, idleTimeoutMs: 1000 };
  const client = openLfsClient({ url, git: gitAt(folder), http });
  t.teardown(() => client.close());
  return { client, local: lfsStore(folder), folder };
}

function makeObject(bytes: Buffer): LfsPointer & { readonly bytes: Buffer } {
  return { oid: createHash("sha256").update(bytes).digest("hex") as Oid, sizeBytes: bytes.length, bytes };
}

/** No object, and no part of one. */
function isEmpty({ folder }: Prepared): boolean {
  const entries = existsSync(path.join(folder, "lfs"))
    ? readdirSync(path.join(folder, "lfs"), { recursive: true })
    : [];
  return !entries.some((name) => /[0-9a-f]{64}|\.tmp$/.test(String(name)));
}

/** Lets the token of the environment be found, for one test. */
function setToken(t: Test, served: Pick<Served, "url">, token: string): void {
  const variable = `CUI_GIT_TOKEN_127_0_0_1___${new URL(served.url).port}`;
  process.env[variable] = token;
  t.teardown(() => Reflect.deleteProperty(process.env, variable));
}

t.test(
  "cui serve: upload, download, ranges; a token from the environment serves git and Git LFS alike",
  async (t) => {
    const served = await serveHere(t, { isPrivate: true });
    const url = `${served.url}/DNS`;
    const objects = Array.from({ length: 120 }, (_, index) => makeObject(randomBytes(1000 + index)));
    const { client, local } = await prepare(t, url);
    for (const { oid, bytes } of objects) {
      mkdirSync(path.dirname(local.pathOf(oid)), { recursive: true });
      writeFileSync(local.pathOf(oid), bytes);
    }
    const oids = objects.map(({ oid }) => oid);
    await t.rejects(client.upload(oids, local), { code: "LFS_UNAUTHORIZED", message: /401/ });
    setToken(t, served, served.token.read);
    const reading = await prepare(t, url);
    await t.rejects(reading.client.upload(oids, local), {
      code: "LFS_UNAUTHORIZED",
      message: /403.*may read only/,
    });
    setToken(t, served, served.token.write);
    const writing = await prepare(t, url);
    const total = objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    t.equal(await writing.client.upload(oids, local), total);
    t.equal(await writing.client.upload(oids, local), 0, "the server has them");
    await t.rejects(writing.client.upload(["0".repeat(64) as Oid], local), {
      code: "REPOSITORY_OBJECT_MISSING",
    });

    setToken(t, served, served.token.read);
    const second = await prepare(t, url);
    const before = served.log.length;
    t.equal(await second.client.download(objects, second.local), total);
    const batches = served.log.slice(before).filter((line) => line.includes("/objects/batch 200"));
    t.equal(batches.length, 2, "100 and 20");
    for (const { oid, bytes } of objects) t.same(readFileSync(second.local.pathOf(oid)), bytes);
    t.equal(await second.client.download(objects, second.local), 0);

    const third = await prepare(t, url);
    const [object] = objects;
    const reader = await third.client.objectStore(objects, third.local).open(object!.oid);
    t.equal(reader.sizeBytes, object!.sizeBytes);
    t.same(await reader.read(10, 90), new Uint8Array(object!.bytes.subarray(10, 100)));
    t.same(await reader.read(5, 0), new Uint8Array(0));
    await t.rejects(reader.read(990, 20), { code: "DISK_PACK_CORRUPT" });
    await reader.close();
    t.ok(isEmpty(third), "parts are not kept");
    await t.rejects(third.client.objectStore([], third.local).open(object!.oid), {
      code: "DISK_PACK_MISSING",
    });
    const missing = { oid: "0".repeat(64) as Oid, sizeBytes: 1 };
    await t.rejects(third.client.download([missing], third.local), { code: "REPOSITORY_OBJECT_MISSING" });
    await t.rejects((await prepare(t, `${served.url}/none`)).client.download([missing], third.local), {
      code: "LFS_REFUSED",
    });
  },
);

t.test("publish and mirror go over HTTP with the token", async (t) => {
  const served = await serveHere(t, { isPrivate: true });
  const url = `${served.url}/DNS`;
  const work = path.join(served.folder, "work");
  writeAppliance(work, makeDisk());
  const cache = path.join(served.folder, "cache");
  const again = (): ReturnType<typeof publish> =>
    publish(gitAt(), { repository: url, cvl: "DNS.cvl", cwd: work, cache });
  await t.rejects(again(), { code: "REPOSITORY_UNREACHABLE" });
  setToken(t, served, served.token.write);
  t.equal((await again()).published?.version, 1);
  t.ok(served.log.some((line) => / writer PUT .* 200 /.test(line)));
  const mirror = await openMirror(url, { git: gitAt(), cache: path.join(served.folder, "other") });
  await mirror.fetch();
  const [version] = await mirror.versions();
  const names = (await mirror.files(version!.commit).listFolder("disks/packs")).map(({ name }) => name);
  const wanted = names.map((name) => ({ oid: name.slice(0, 64) as Oid, path: `disks/packs/${name}` }));
  t.ok((await mirror.ensureObjects(version!.commit, wanted)).fetchedBytes > 0);
  await mirror.close();
});

t.test(
  "credentials: from git's helpers, judged by what the server says, for their own address only",
  async (t) => {
    const object = makeObject(randomBytes(100));
    const server = await faultyServer(t);
    const { client, local, folder } = await prepare(t, server.url);
    const told = path.join(folder, "told");
    const helper = path.join(folder, "helper");
    writeFileSync(
      helper,
      `#!/bin/sh\necho "$1" >> ${told}\ntest "$1" = get && printf 'username=u\\npassword=p\\n'\nexit 0\n`,
    );
    chmodSync(helper, 0o755);
    git(folder, "config", `credential.${server.origin}.helper`, helper);
    const right = `Basic ${Buffer.from("u:p").toString("base64")}`;
    const answer = server.onBatch;
    let accepted = true;
    server.onBatch = (seen, response) => {
      if (accepted && seen.headers.authorization === right) answer(seen, response);
      else response.writeHead(401).end();
    };
    server.onObject = (seen, response) => {
      sendContent(seen, response, object.bytes);
    };
    t.equal(await client.download([object], local), 100);
    t.equal(readFileSync(told, "utf8"), "get\nstore\n", "kept, once");
    const got = server.seen.find(({ path: target }) => target.startsWith("/o/"));
    t.equal(
      got?.headers.authorization,
      undefined,
      "the repository's credentials do not go to the object's link",
    );
    accepted = false;
    const another = openLfsClient({ url: server.url, git: gitAt(folder) });
    t.teardown(() => another.close());
    const other = makeObject(randomBytes(10));
    await t.rejects(another.download([other], local), { code: "LFS_UNAUTHORIZED" });
    t.equal(readFileSync(told, "utf8"), "get\nstore\nget\nerase\n", "forgotten");

    const elsewhere = await faultyServer(t);
    server.onBatch = (seen, response) => {
      if (seen.headers.authorization === undefined) response.writeHead(401).end();
      else response.writeHead(307, { Location: `${elsewhere.url}.git/info/lfs/objects/batch` }).end();
    };
    elsewhere.onBatch = (_, response) => {
      response.writeHead(401).end();
    };
    const third = openLfsClient({ url: server.url, git: gitAt(folder) });
    t.teardown(() => third.close());
    await t.rejects(third.download([other], local), { code: "LFS_UNAUTHORIZED" });
    t.same(
      elsewhere.seen.map(({ headers }) => headers.authorization),
      [undefined],
      "not to where it was redirected",
    );
    t.equal(
      readFileSync(told, "utf8"),
      "get\nstore\nget\nerase\nget\n",
      "and what was not sent was not refused",
    );
  },
);

t.test("a link's headers go to its host alone, redirects are resolved once", async (t) => {
  const object = makeObject(randomBytes(5000));
  const [server, storage] = [await faultyServer(t), await faultyServer(t)];
  server.onBatch = (seen, response) => {
    sendBatch(response, askedObjects(seen), ({ oid }) => ({
      download: {
        href: `${server.origin}/o/${oid}`,
        header: { Authorization: "secret", "X-Key": "k", Range: "bytes=0-0" },
      },
    }));
  };
  server.onObject = (_, response) => {
    response.writeHead(302, { Location: `${storage.origin}/real` }).end();
  };
  storage.onObject = (seen, response) => {
    sendContent(seen, response, object.bytes);
  };
  const { client, local } = await prepare(t, server.url);
  const reader = await client.objectStore([object], local).open(object.oid);
  for (const at of [0, 1000, 2000])
    t.same(await reader.read(at, 100), new Uint8Array(object.bytes.subarray(at, at + 100)));
  const first = server.seen.filter(({ path: target }) => target.startsWith("/o/"));
  t.match(first, [{ headers: { authorization: "secret", "x-key": "k", range: "bytes=0-99" } }]);
  t.equal(first.length, 1, "the next ranges go to where the first one was sent");
  t.equal(storage.seen.length, 3);
  for (const { headers } of storage.seen) t.notOk("authorization" in headers || "x-key" in headers);
});

t.test(
  "a link that has run out is renewed once, in one flight; expires_in counts before expires_at",
  async (t) => {
    const object = makeObject(randomBytes(5000));
    const server = await faultyServer(t);
    let issued = 0;
    let valid = 1;
    let extra: object = {};
    server.onBatch = (seen, response) => {
      issued += 1;
      const key = String(issued);
      sendBatch(response, askedObjects(seen), () => ({
        download: { href: `${server.origin}/o/x`, header: { "X-Key": key }, ...extra },
      }));
    };
    server.onObject = (seen, response) => {
      if (Number(seen.headers["x-key"]) < valid) response.writeHead(403).end("<Error>expired</Error>");
      else sendContent(seen, response, object.bytes);
    };
    const { client, local } = await prepare(t, server.url);
    const reader = await client.objectStore([object], local).open(object.oid);
    await reader.read(0, 10);
    valid = 2;
    const parts = await Promise.all([10, 20, 30, 40].map((at) => reader.read(at, 10)));
    t.same(
      parts.map((part) => part[0]),
      [10, 20, 30, 40].map((at) => object.bytes[at]),
    );
    t.equal(issued, 2, "four readers, one new link");
    valid = 100;
    await t.rejects(reader.read(0, 10), { code: "LFS_UNAUTHORIZED" }, "once");
    t.equal(issued, 3);
    valid = 0;
    extra = { expires_in: 1000, expires_at: "2099-01-01T00:00:00Z" };
    const second = await (await prepare(t, server.url)).client.objectStore([object], local).open(object.oid);
    await second.read(0, 10);
    t.equal(issued, 4);
    const { now } = Date;
    Date.now = () => now() + 800_000;
    await second.read(0, 10).finally(() => (Date.now = now));
    t.equal(issued, 5, "at three quarters of its time");
    t.ok(expiryOf({ expires_in: 10, expires_at: "2001-01-01T00:00:00Z" })! > Date.now());
    t.equal(expiryOf({ expires_at: "2001-01-01T00:00:00Z" }), Date.parse("2001-01-01"));
    t.equal(expiryOf({ expires_in: 0 }), undefined);
  },
);

t.test(
  "ranges: only the exact part is taken; a server that sends the whole is asked for it once",
  async (t) => {
    const object = makeObject(randomBytes(5000));
    const server = await faultyServer(t);
    const { client, local } = await prepare(t, server.url);
    const part = object.bytes.subarray(100, 200);
    const reader = await client.objectStore([object], local).open(object.oid);
    const wrong: readonly (readonly [string, Record<string, string>, Buffer])[] = [
      ["another part", { "Content-Range": "bytes 0-99/5000" }, part],
      ["another size", { "Content-Range": "bytes 100-199/6000" }, part],
      ["no Content-Range", {}, part],
      [
        "another length",
        { "Content-Range": "bytes 100-199/5000", "Content-Length": "50" },
        part.subarray(0, 50),
      ],
      ["an encoding", { "Content-Range": "bytes 100-199/5000", "Content-Encoding": "gzip" }, part],
      [
        "more than asked",
        { "Content-Range": "bytes 100-199/5000", "Transfer-Encoding": "chunked" },
        object.bytes,
      ],
    ];
    for (const [name, headers, body] of wrong) {
      server.onObject = (_, response) => {
        response.writeHead(206, headers).end(body);
      };
      await t.rejects(reader.read(100, 100), { code: "LFS_UNEXPECTED_REPLY" }, name);
    }
    let cuts = 0;
    server.onObject = (seen, response) => {
      cuts += 1;
      if (cuts > 1) sendContent(seen, response, object.bytes);
      else {
        response.writeHead(206, { "Content-Range": "bytes 100-199/5000", "Content-Length": 100 });
        response.write(part.subarray(0, 30), () => response.destroy());
      }
    };
    t.same(await reader.read(100, 100), new Uint8Array(part), "gone on with after a cut");
    t.equal(server.seen.at(-1)?.headers.range, "bytes=130-199");
    let wholes = 0;
    server.onObject = (seen, response) => {
      if (seen.headers.range === undefined) wholes += 1;
      response.writeHead(200).end(object.bytes);
    };
    const parts = await Promise.all([0, 1000, 2000].map((at) => reader.read(at, 100)));
    t.same(
      parts,
      [0, 1000, 2000].map((at) => new Uint8Array(object.bytes.subarray(at, at + 100))),
    );
    t.equal(wholes, 1, "for all who read");
    const asked = server.seen.length;
    await reader.read(3000, 100);
    t.equal(server.seen.length, asked);
    t.ok(await local.has(object.oid), "and it is here now, verified");
    await reader.close();
  },
);

t.test("downloads: cut, endless, wrong or encoded bytes never become an object", async (t) => {
  const object = makeObject(randomBytes(100_000));
  const server = await faultyServer(t);
  const prepared = await prepare(t, server.url);
  const download = (): Promise<number> => prepared.client.download([object], prepared.local);
  const refusals: readonly (readonly [string, FaultyServer["onObject"], string])[] = [
    [
      "wrong digest",
      (_, response) => response.writeHead(200).end(Buffer.alloc(100_000)),
      "DISK_PACK_CORRUPT",
    ],
    [
      "endless",
      (_, response) => {
        endless(response);
      },
      "LFS_UNEXPECTED_REPLY",
    ],
    [
      "a login page",
      (_, response) => response.writeHead(200, { "Content-Length": 20 }).end("<html>log in</html>\n"),
      "LFS_UNEXPECTED_REPLY",
    ],
    [
      "gzip",
      (_, response) => response.writeHead(200, { "Content-Encoding": "gzip" }).end("x"),
      "LFS_UNEXPECTED_REPLY",
    ],
    [
      "206 unasked",
      (_, response) => response.writeHead(206, { "Content-Range": "bytes 0-99999/100000" }).end(object.bytes),
      "LFS_UNEXPECTED_REPLY",
    ],
    [
      "always cut",
      (_, response) => response.writeHead(200).write("x", () => response.destroy()),
      "LFS_UNREACHABLE",
    ],
    ["silent", () => undefined, "LFS_UNREACHABLE"],
    ["404", (_, response) => response.writeHead(404).end("not the object"), "LFS_REFUSED"],
    ["410", (_, response) => response.writeHead(410).end(), "LFS_REFUSED"],
    ["507", (_, response) => response.writeHead(507).end(), "LFS_STORAGE_FULL"],
    ["509", (_, response) => response.writeHead(509).end(), "LFS_STORAGE_FULL"],
    ["500 for good", (_, response) => response.writeHead(500).end(), "LFS_UNREACHABLE"],
    [
      "redirects in a circle",
      (seen, response) => response.writeHead(302, { Location: seen.path }).end(),
      "LFS_UNEXPECTED_REPLY",
    ],
    [
      "a redirect to a file",
      (_, response) => response.writeHead(302, { Location: "file:///etc/passwd" }).end(),
      "LFS_UNEXPECTED_REPLY",
    ],
  ];
  for (const [name, onObject, code] of refusals) {
    server.onObject = onObject;
    await t.rejects(download(), { code }, name);
    t.ok(isEmpty(prepared), `${name}: nothing is left`);
  }
  let tries = 0;
  server.onObject = (seen, response) => {
    tries += 1;
    if (tries >= 4) {
      sendContent(seen, response, object.bytes);
      return;
    }
    const from = Number(/^bytes=(\d+)-/.exec(seen.headers.range ?? "")?.[1] ?? 0);
    response.writeHead(
      from === 0 ? 200 : 206,
      from === 0 ? {} : { "Content-Range": `bytes ${from}-99999/100000` },
    );
    response.write(object.bytes.subarray(from, from + 20_000), () => response.destroy());
  };
  t.equal(await download(), 100_000, "cut three times, gone on with each time");
  t.match(server.seen.at(-1)?.headers.range, /^bytes=[1-9]\d*-99999$/);
});

/** Until the other side has had enough. */
function endless(response: Parameters<FaultyServer["onObject"]>[1]): void {
  const more = (): void => {
    while (!response.destroyed && response.write(Buffer.alloc(65_536)));
  };
  response.writeHead(200);
  response.on("drain", more);
  more();
}

t.test("the batch API: 413 halves, 429 waits as told, nonsense is refused", async (t) => {
  const objects = Array.from({ length: 10 }, () => makeObject(randomBytes(10)));
  const byPath = new Map(objects.map(({ oid, bytes }) => [`/o/${oid}`, bytes]));
  const server = await faultyServer(t);
  const answer = server.onBatch;
  const sizes: number[] = [];
  server.onObject = (seen, response) => {
    sendContent(seen, response, byPath.get(seen.path)!);
  };
  server.onBatch = (seen, response) => {
    sizes.push(askedObjects(seen).length);
    if (askedObjects(seen).length > 3) response.writeHead(413).end();
    else answer(seen, response);
  };
  const first = await prepare(t, server.url);
  t.equal(await first.client.download(objects, first.local), 100);
  t.same(sizes, [10, 5, 3, 3, 3, 1]);
  server.onBatch = (_, response) => {
    response.writeHead(413).end();
  };
  const [object] = objects;
  const fails = async (name: string, code: string, onBatch: FaultyServer["onBatch"]): Promise<void> => {
    server.onBatch = onBatch;
    const { client, local } = await prepare(t, server.url);
    await t.rejects(client.download([object!], local), { code }, name);
  };
  const sends = (body: unknown) => (_: unknown, response: Parameters<FaultyServer["onBatch"]>[1]) =>
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  const action = (download: object) => sends({ objects: [{ oid: object!.oid, actions: { download } }] });
  await fails("413 for one", "LFS_REFUSED", (_, response) => response.writeHead(413).end());
  await fails("no JSON", "LFS_UNEXPECTED_REPLY", sends("<html>"));
  await fails("no objects", "LFS_UNEXPECTED_REPLY", sends({}));
  await fails("another object", "LFS_UNEXPECTED_REPLY", sends({ objects: [] }));
  await fails("another transfer", "LFS_UNEXPECTED_REPLY", sends({ transfer: "tus", objects: [] }));
  await fails("no link", "LFS_UNEXPECTED_REPLY", sends({ objects: [{ oid: object!.oid }] }));
  await fails("a link to a file", "LFS_UNEXPECTED_REPLY", action({ href: "file:///etc/passwd" }));
  await fails("a link with a password", "LFS_UNEXPECTED_REPLY", action({ href: "http://a:b@localhost/" }));
  await fails(
    "a header that is two",
    "LFS_UNEXPECTED_REPLY",
    action({ href: "/x", header: { "A\r\nB": "c" } }),
  );
  await fails("endless", "LFS_UNEXPECTED_REPLY", (_, response) => {
    endless(response);
  });
  const error = (code: number) =>
    sends({ objects: [{ oid: object!.oid, error: { code, message: "because \u001b[31m" } }] });
  await fails("404", "REPOSITORY_OBJECT_MISSING", error(404));
  await fails("410", "REPOSITORY_OBJECT_MISSING", error(410));
  await fails("422", "LFS_REFUSED", error(422));
  await fails("no route", "LFS_REFUSED", (_, response) => response.writeHead(404).end());
  await fails("429 for longer than anybody waits", "LFS_RATE_LIMITED", (_, response) =>
    response.writeHead(429, { "Retry-After": "3600" }).end(),
  );
  await fails("429 for good", "LFS_RATE_LIMITED", (_, response) => response.writeHead(429).end());
  let limited = 0;
  const startedAt = Date.now();
  server.onBatch = (seen, response) => {
    limited += 1;
    if (limited === 1) response.writeHead(429, { "Retry-After": "1" }).end();
    else if (limited === 2)
      response.writeHead(503, { "Retry-After": new Date(Date.now() - 1000).toUTCString() }).end();
    else answer(seen, response);
  };
  const last = await prepare(t, server.url);
  t.equal(await last.client.download([object!], last.local), 10);
  t.ok(Date.now() - startedAt >= 990, "waited as long as it was told");
});

t.test("uploads: a link that ran out is renewed once, what the server cannot take is said", async (t) => {
  const object = makeObject(randomBytes(1000));
  const server = await faultyServer(t);
  const { client, local } = await prepare(t, server.url);
  mkdirSync(path.dirname(local.pathOf(object.oid)), { recursive: true });
  writeFileSync(local.pathOf(object.oid), object.bytes);
  let issued = 0;
  server.onBatch = (seen, response) => {
    issued += 1;
    sendBatch(response, askedObjects(seen), () => ({
      upload: { href: `${server.origin}/put`, header: { "X-Key": String(issued) } },
      verify: { href: `${server.origin}/verify` },
    }));
  };
  server.onObject = (seen, response) => {
    response.writeHead(seen.path === "/put" && seen.headers["x-key"] === "1" ? 403 : 200).end();
  };
  t.equal(await client.upload([object.oid], local), 1000);
  t.match(server.seen.map(({ method, path: target }) => `${method} ${target}`).slice(1), [
    "PUT /put",
    "POST /DNS.git/info/lfs/objects/batch",
    "PUT /put",
    "POST /verify",
  ]);
  for (const [status, code] of [
    [403, "LFS_UNAUTHORIZED"],
    [422, "LFS_REFUSED"],
    [507, "LFS_STORAGE_FULL"],
  ] as const) {
    server.onObject = (_, response) => {
      response.writeHead(status, { "Content-Type": "application/json" }).end('{"message":"no"}');
    };
    await t.rejects(client.upload([object.oid], local), { code, message: /no$/ });
  }
  server.onObject = ({ path: target }, response) => {
    response.writeHead(target === "/verify" ? 404 : 200).end();
  };
  await t.rejects(client.upload([object.oid], local), { code: "LFS_REFUSED" }, "not verified");
});

t.test("where the server is: beside the repository, or where ssh says; .lfsconfig has no say", async (t) => {
  t.match(await findEndpoint(gitAt(), "https://host/a/b", "download"), {
    url: "https://host/a/b.git/info/lfs",
    headers: {},
  });
  t.match(await findEndpoint(gitAt(), "https://host/b.git", "download"), {
    url: "https://host/b.git/info/lfs",
  });
  await t.rejects(findEndpoint(gitAt(), "/srv/git", "download"), { code: "REPOSITORY_URL_REFUSED" });
  await t.rejects(findEndpoint(gitAt(), "ext::sh", "download"), { code: "REPOSITORY_URL_REFUSED" });
  const folder = t.testdir({});
  const answer = {
    href: "https://lfs.example.org/x/",
    header: { Authorization: "RemoteAuth y" },
    expires_in: 60,
  };
  writeFileSync(path.join(folder, "answer"), JSON.stringify(answer));
  writeFileSync(
    path.join(folder, "ssh"),
    `#!/bin/sh\nprintf '%s\\n' "$@" > ${folder}/args\ncat ${folder}/answer\n`,
  );
  chmodSync(path.join(folder, "ssh"), 0o755);
  const before = process.env["PATH"] ?? "";
  process.env["PATH"] = `${folder}:${before}`;
  t.teardown(() => (process.env["PATH"] = before));
  const found = await findEndpoint(gitAt(), "git@host:it's/DNS", "upload");
  t.match(found, { url: "https://lfs.example.org/x", headers: answer.header });
  t.ok(found.expiresAtMs! > Date.now() + 50_000);
  t.equal(
    readFileSync(path.join(folder, "args"), "utf8"),
    "-oBatchMode=yes\n--\ngit@host\ngit-lfs-authenticate 'it'\\''s/DNS' upload\n",
  );
  await findEndpoint(gitAt(), "ssh://git@host:2222/srv/DNS", "download");
  t.equal(
    readFileSync(path.join(folder, "args"), "utf8"),
    "-oBatchMode=yes\n-p\n2222\n--\ngit@host\ngit-lfs-authenticate /srv/DNS download\n",
  );
  for (const text of ["no JSON", '{"href":"file:///x"}']) {
    writeFileSync(path.join(folder, "answer"), text);
    await t.rejects(findEndpoint(gitAt(), "git@host:x", "download"), { code: "LFS_UNEXPECTED_REPLY" });
  }
  writeFileSync(path.join(folder, "ssh"), "#!/bin/sh\nexit 255\n");
  await t.rejects(findEndpoint(gitAt(), "git@host:x", "download"), { code: "LFS_UNREACHABLE" });
});

t.test("a token's variable names one address", (t) => {
  const addressesOf = (env: Record<string, string>): string[] => {
    const made = tokenEnvironment(env);
    const keys = Object.keys(made).filter((name) => name.startsWith("GIT_CONFIG_KEY_"));
    return [...new Set(keys.map((name) => made[name]!.replace(/^credential\.(.*)\.helper$/, "$1")))];
  };
  for (const [name, address] of [
    ["GIT_EXAMPLE_ORG", "https://git.example.org"],
    ["GIT__EXAMPLE_ORG", "https://git-example.org"],
    ["XN____P1AI_ORG", "https://xn--p1ai.org"],
    ["GIT_EXAMPLE_ORG___8443", "https://git.example.org:8443"],
    ["LOCALHOST___80", "http://localhost:80"],
    ["127_0_0_1", "http://127.0.0.1"],
    ["127_EXAMPLE_ORG", "https://127.example.org"],
  ] as const) {
    t.same(addressesOf({ [`CUI_GIT_TOKEN_${name}`]: "x" }), [address]);
  }
  for (const name of ["", "_A", "A_", "A_____B", "A/B", "A___B"])
    t.same(addressesOf({ [`CUI_GIT_TOKEN_${name}`]: "x" }), [], name);
  t.same(addressesOf({ CUI_GIT_TOKEN_A: "a\nhost=b" }), [], "nothing that is two lines");
  const secret = randomBytes(8).toString("hex");
  const made = tokenEnvironment({ CUI_GIT_TOKEN_A: secret, GIT_CONFIG_COUNT: "1" });
  t.notOk(JSON.stringify(made).includes(secret), "the settings name the variable, not the token");
  t.match(made, {
    GIT_CONFIG_COUNT: "3",
    GIT_CONFIG_KEY_1: "credential.https://a.helper",
    GIT_CONFIG_VALUE_1: "",
  });
  t.end();
});
