/** Whoever can clone with git can have the Git LFS objects: what git knows of addresses and credentials counts for both. */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import t, { type Test } from "tap";
import { reachedUrl } from "../../src/git/reached-url.ts";
import type { Git } from "../../src/git/git.ts";
import { eachObject } from "../appliance/each-object.ts";
import { parseNetrc } from "../../src/lfs/netrc.ts";
import { publish } from "../../src/publish/publish.ts";
import { makeDisk, writeAppliance } from "../appliance/appliance-fixture.ts";
import { gitAt, writeFiles, scratch } from "../git/git-fixture.ts";
import { serveHere, type Served } from "../serve/served.ts";

/** A user with a home of their own. */
function userOf(served: Served, files: { readonly netrc?: string; readonly config?: string }): Git {
  const home = path.join(served.folder, "home");
  writeFiles(home, {
    ".netrc": files.netrc ?? "",
    ".gitconfig": `${readFileSync("test/git/gitconfig", "utf8")}${files.config ?? ""}`,
  });
  return gitAt(served.folder, { HOME: home, GIT_CONFIG_GLOBAL: path.join(home, ".gitconfig") });
}

let number = 0;

/** Publishes a new version to `url` and fetches its objects, as that user. */
async function publishAndFetch(
  t: Test,
  served: Served,
  { git, url }: { git: Git; url: string },
): Promise<void> {
  const work = path.join(served.folder, "work");
  writeAppliance(work, makeDisk());
  const cache = path.join(served.folder, `cache-${(number += 1)}`);
  const { published } = await publish(git, { repository: url, cvl: "DNS.cvl", cwd: work, cache });
  t.ok(published?.sentBytes, `published to ${url}`);
  t.ok((await eachObject(git, { url, cache: `${cache}-2` })) > 0, `fetched from ${url}`);
}

t.test("a private server, and what git knows of it", async (t) => {
  const served = await serveHere(t, { isPrivate: true });
  const { host, hostname } = new URL(served.url);
  const token = served.token.write;
  const own = `${served.url}/DNS`;
  const other = "https://appliances.example.org/DNS";
  const helper = `[credential]\n\thelper = "!f() { test \\"$1\\" = get && echo username=alice && echo password=${token}; }; f"\n`;
  const cases: readonly (readonly [title: string, url: string, files: Parameters<typeof userOf>[1]])[] = [
    [".netrc", own, { netrc: `machine ${hostname} login alice password ${token}\n` }],
    [".netrc, default", own, { netrc: `default login alice password ${token}\n` }],
    [
      ".netrc, in vain, then a helper",
      own,
      { netrc: `machine ${hostname} login alice password wrong\n`, config: helper },
    ],
    [
      "a token in insteadOf",
      own,
      { config: `[url "http://alice:${token}@${host}/"]\n\tinsteadOf = ${served.url}/\n` },
    ],
    [
      "a user in insteadOf, the token in .netrc",
      own,
      {
        config: `[url "http://alice@${host}/"]\n\tinsteadOf = ${served.url}/\n`,
        netrc: `machine ${hostname} login bob password wrong\nmachine ${hostname} login alice password ${token}\n`,
      },
    ],
    [
      "insteadOf to another host",
      other,
      { config: `${helper}[url "${served.url}/"]\n\tinsteadOf = https://appliances.example.org/\n` },
    ],
    [
      "the longest insteadOf counts, and pushInsteadOf for pushes",
      other,
      {
        config: [
          `[url "http://nobody.invalid/"]\n\tinsteadOf = https://appliances\n\tpushInsteadOf = https://\n`,
          `[url "http://alice:${token}@${host}/"]\n\tinsteadOf = https://appliances.example.org/\n`,
          `\tpushInsteadOf = https://appliances.example.org/\n`,
        ].join(""),
      },
    ],
    [
      "insteadOf to a folder",
      other,
      { config: `[url "${served.srv}/"]\n\tinsteadOf = https://appliances.example.org/\n` },
    ],
  ];
  for (const [title, url, files] of cases) {
    await t.test(title, (t) => publishAndFetch(t, served, { git: userOf(served, files), url }));
  }
  const wrong = `[url "http://alice:s3cret@${host}/"]\n\tinsteadOf = ${served.url}/\n`;
  const failed = await eachObject(userOf(served, { config: wrong }), {
    ...{ url: own, cache: path.join(served.folder, "cache-wrong") },
  }).then(
    () => undefined,
    (error: unknown) => error,
  );
  t.match(failed, { code: "REPOSITORY_UNREACHABLE" });
  t.notMatch(`${String(failed)} ${JSON.stringify(failed)}`, /s3cret/);
});

t.test("where git goes for a URL", async (t) => {
  const { folder } = scratch(t);
  const file = path.join(folder, "config");
  writeFileSync(
    file,
    [
      '[url "git@git.example.org:"]\n\tinsteadOf = https://ssh.example.org/\n',
      '[url "https://b%C3%BCro:p%40ss@h.example.org/a/"]\n\tinsteadOf = https://in.example.org/\n',
      '[url "alias:"]\n\tinsteadOf = https://alias.example.org/\n',
      '[url "file:///srv/my%20dns/"]\n\tinsteadOf = https://file.example.org/\n',
    ].join(""),
  );
  const git = gitAt(folder, { GIT_CONFIG_GLOBAL: file });
  const to = (url: string) => reachedUrl(git, url, "fetch");
  t.same(await to("https://plain.example.org/x"), {
    kind: "http",
    url: "https://plain.example.org/x",
    credential: undefined,
  });
  t.same(await to("https://ssh.example.org/x"), { kind: "ssh", url: "git@git.example.org:x" });
  t.same(await to("https://in.example.org/x"), {
    kind: "http",
    url: "https://h.example.org/a/x",
    credential: { username: "büro", password: "p@ss" },
  });
  t.same(await to("https://alias.example.org/x"), { kind: "ssh", url: "alias:x" });
  t.same(await to("https://file.example.org/x"), { kind: "local", folder: "/srv/my dns/x" });
});

t.test(".netrc as curl reads it", (t) => {
  const text = [
    "# machine no login no password no",
    "machine one.example.org login alice password secret",
    "machine two.example.org",
    "\tlogin bob",
    "\taccount staff",
    '\tpassword "two \\"words\\""',
    "macdef init",
    "machine macro login x password y",
    "",
    "machine three.example.org login only-a-name",
    "default login anonymous password guest",
  ].join("\n");
  t.same(parseNetrc(text), [
    { machine: "one.example.org", login: "alice", password: "secret" },
    { machine: "two.example.org", login: "bob", password: 'two "words"' },
    { machine: undefined, login: "anonymous", password: "guest" },
  ]);
  t.same(parseNetrc(""), []);
  t.same(parseNetrc("machine"), []);
  t.end();
});
