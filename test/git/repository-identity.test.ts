import { test } from "tap";
import { isUnder, matchesRepository, mirrorKey, repositoryKey } from "../../src/git/repository-identity.ts";
import { isRefusedUrl, parseUrl } from "../../src/git/url.ts";

const WEB = [
  "https://github.com/acme/Web",
  "https://github.com/acme/Web.git",
  "https://github.com/acme/Web/",
  "https://github.com/acme/Web.git/",
  "https://github.com//acme//Web",
  "https://github.com/Acme/web",
  "https://GitHub.com/ACME/WEB.git",
  "https://github.com:443/acme/Web",
  "https://github.com./acme/Web",
  "https://www.github.com/acme/Web",
  "https://github.com/acme/%57eb",
  "https://github.com/%61cme/Web%2egit",
  "https://github.com/acme/x/../Web",
  "http://github.com/acme/Web",
  "http://github.com:80/acme/Web",
  "git@github.com:acme/Web.git",
  "git@github.com:/acme/Web",
  "git@GitHub.com:Acme/web/",
  "ssh://git@github.com/acme/Web.git",
  "ssh://github.com/acme/Web",
  "ssh://git@github.com:22/acme/Web",
  "ssh://git@ssh.github.com:443/acme/Web.git",
  "ssh://git@github.com/acme/%57eb",
];

/** As an import is normalised before it is compared. */
function normal(url: string): string {
  const target = parseUrl(url);
  if (isRefusedUrl(target)) throw new Error(`${url}: ${target.message}`);
  return target.url;
}

test("however a repository is written, it is one", (t) => {
  for (const url of WEB) {
    t.equal(repositoryKey(url), "//github.com/acme/web", url);
    for (const listed of WEB) t.ok(matchesRepository(listed, normal(url)), `${listed} is ${url}`);
    t.equal(mirrorKey(url), `${url.startsWith("http:") ? "http:" : ""}//github.com/acme/web`);
  }
  for (const other of [
    ...[
      "https://github.com/acme/Web2",
      "https://github.com/acme-evil/Web",
      "https://github.com.evil.org/acme/Web",
    ],
    ...["https://evil.org/github.com/acme/Web", "/github.com/acme/Web", "https://github.com:8443/acme/Web"],
  ]) {
    t.notOk(matchesRepository("https://github.com/acme/Web", normal(other)), other);
    t.not(repositoryKey(other), "//github.com/acme/web");
  }
  t.end();
});

test("on a host that is no forge, case and ways count; for a blacklist, ways do not", (t) => {
  const same: readonly (readonly [string, string])[] = [
    ["https://git.example.org/acme/Web", "https://GIT.example.org:443/acme/%57eb.git"],
    ["https://git.example.org/acme/Web", "git@git.example.org:acme/Web"],
    ["https://b\u00fccher.example/x", "https://xn--bcher-kva.example/x"],
    ["ssh://git@b\u00fccher.example/x", "git@xn--bcher-kva.example:x"],
    ["https://git.example.org/a b", "https://git.example.org/a%20b"],
    ["alice@git.example.org:x", "ssh://alice@git.example.org/~/x"],
    ["file:///srv/a%20b", "/srv/a b"],
    ["file:///srv/%72", "/srv/r"],
  ];
  for (const [one, other] of same) {
    t.equal(repositoryKey(one), repositoryKey(other), `${one} is ${other}`);
    t.ok(matchesRepository(one, normal(other)));
    t.ok(matchesRepository(other, normal(one)));
  }
  const different: readonly (readonly [string, string])[] = [
    ["https://git.example.org/acme/Web", "https://git.example.org/acme/web"],
    ["https://git.example.org/acme/Web", "https://git.example.org:8443/acme/Web"],
    ["https://git.example.org/a%2Fb".replace("%2F", "%252F"), "https://git.example.org/a/b"],
    ["/srv/r", "/srv/R"],
  ];
  for (const [one, other] of different) {
    t.not(repositoryKey(one), repositoryKey(other), `${one} is not ${other}`);
    t.notOk(matchesRepository(one, normal(other)));
  }
  for (const other of [
    "ssh://bob@git.example.org/acme/Web",
    "ssh://git@git.example.org:2222/acme/Web",
    "bob@git.example.org:acme/Web",
  ]) {
    t.not(repositoryKey(other), repositoryKey("https://git.example.org/acme/Web"), "it may be another one");
    t.ok(matchesRepository("https://git.example.org/acme/Web", other), "in doubt it is on the list");
  }
  t.not(mirrorKey("https://git.example.org/x"), mirrorKey("git@git.example.org:x"));
  t.not(repositoryKey("alice@h:x"), repositoryKey("bob@h:x"));
  t.end();
});

test("patterns of a list", (t) => {
  const cases: readonly (readonly [pattern: string, url: string, isNamed: boolean])[] = [
    ["*", "/srv/x", true],
    ["https://github.com/acme/*", "git@github.com:Acme/Web", true],
    ["https://github.com/Acme/W*", "https://github.com/acme/web", true],
    ["https://github.com/acme/*", "https://github.com/acme-evil/Web", false],
    ["https://github.com/*", "ssh://git@github.com/acme/Web", true],
    ["https://github.com*", "https://github.com/acme/Web", true],
    ["git@github.com:*", "https://github.com/acme/Web", true],
    ["git@github.com:acme/*", "https://github.com/acme/Web", true],
    ["https://*", "https://git.example.org/x", true],
    ["https://*", "/srv/x", false],
    ["/srv/*", "file:///srv/x", true],
    ["/srv/*", "https://srv/x", false],
    ["/*", "https://h/x", false],
    ["/srv/r/", "/srv/r.git", true],
    ["no url", "no url", true],
    ["no *", "no url", true],
    ["no *", "https://h/x", false],
  ];
  for (const [pattern, url, isNamed] of cases)
    t.equal(matchesRepository(pattern, url), isNamed, `${pattern}: ${url}`);
  t.end();
});

test("what a prefix allows", (t) => {
  const cases: readonly (readonly [url: string, prefix: string, isAllowed: boolean])[] = [
    ["https://github.com/Acme/Web", "https://github.com/acme", true],
    ["https://github.com/acme/%57eb", "https://github.com/acme/Web", true],
    ["git@github.com:acme/Web", "https://github.com/acme", true],
    ["ssh://git@ssh.github.com:443/acme/Web", "git@github.com:acme", true],
    ["https://github.com/acme-evil/Web", "https://github.com/acme", false],
    ["http://github.com/acme/Web", "https://github.com/acme", false],
    ["http://github.com/acme/Web", "http://github.com/acme", true],
    ["https://github.com/acme/Web", "http://github.com/acme", true],
    ["https://h/acme/Web", "https://h/Acme", false],
    ["bob@h:acme/Web", "https://h/acme", false],
    ["ssh://git@h:2222/acme/Web", "https://h/acme", false],
    ["ssh://git@h:2222/acme/Web", "ssh://git@h:2222/acme", true],
    ["git@h:acme/Web", "git@h:", true],
    ["git@h.evil:acme/Web", "git@h:", false],
    ["https://h/x", "https://", true],
    ["git@h:x", "https://", false],
    ["https://h/x", "/", false],
    ["/srv/x", "/", true],
    ["/srv/x", "/srv", true],
    ["file:///srv/x", "/srv", true],
    ["/srv2/x", "/srv", false],
    ["https://h.evil/x", "https://h", false],
    ["https://h/x", "", false],
  ];
  for (const [url, prefix, isAllowed] of cases) {
    const target = parseUrl(url);
    if (isRefusedUrl(target)) throw new Error(target.message);
    t.equal(isUnder(target, prefix), isAllowed, `${url} under ${prefix}`);
  }
  t.end();
});
