import { test } from "tap";
import { policyProblem } from "../../src/git/url-policy.ts";
import { isRefusedUrl, localFolder, parseUrl, resolveUrl } from "../../src/git/url.ts";

const HTTPS = "https://example.org/appliances/Groupware";

test("URLs of every understood form are normalised", (t) => {
  const cases: readonly (readonly [string, string, string])[] = [
    ["https://Example.ORG/a/DNS/", "https://example.org/a/DNS", "https"],
    ["https://example.org:443/a/./b/../DNS", "https://example.org/a/DNS", "https"],
    ["https://example.org/a/%2e%2e/DNS", "https://example.org/DNS", "https"],
    ["http://example.org/a", "http://example.org/a", "http"],
    ["ssh://git@example.org:2222/a/DNS.git", "ssh://git@example.org:2222/a/DNS.git", "ssh"],
    ["ssh://example.org/a/../../b", "ssh://example.org/b", "ssh"],
    ["git@Example.org:acme/DNS.git", "git@example.org:acme/DNS.git", "scp"],
    ["git@example.org:/srv//DNS", "git@example.org:/srv/DNS", "scp"],
    ["file:///srv/a%20b/DNS/", "file:///srv/a%20b/DNS", "file"],
    ["/srv//repos/./DNS/", "/srv/repos/DNS", "path"],
  ];
  for (const [written, url, kind] of cases) t.same(resolveUrl(written, HTTPS), { url, kind }, written);
  t.equal(localFolder({ url: "file:///srv/a%20b", kind: "file" }), "/srv/a b");
  t.end();
});

test("a relative URL starts from the importing repository's own URL, of every form", (t) => {
  const cases: readonly (readonly [string, string, string])[] = [
    ["../DNS", HTTPS, "https://example.org/appliances/DNS"],
    ["../../other/DNS", HTTPS, "https://example.org/other/DNS"],
    ["./sub", HTTPS, "https://example.org/appliances/Groupware/sub"],
    [".", HTTPS, HTTPS],
    ["../DNS.git", "git@example.org:acme/Groupware.git", "git@example.org:acme/DNS.git"],
    ["../DNS", "git@example.org:Groupware", "git@example.org:DNS"],
    ["../DNS", "git@example.org:/srv/Groupware", "git@example.org:/srv/DNS"],
    ["../DNS", "ssh://git@example.org:22/srv/Groupware", "ssh://git@example.org/srv/DNS"],
    ["../DNS", "/home/jane doe/Groupware", "/home/jane doe/DNS"],
    ["../my DNS", "file:///home/jane%20doe/G", "file:///home/jane%20doe/my%20DNS"],
    ["../my DNS", HTTPS, "https://example.org/appliances/my%20DNS"],
    ["../my DNS", "git@example.org:acme/G", "git@example.org:acme/my DNS"],
    ["../DNS", "file:///srv/Groupware", "file:///srv/DNS"],
    ["../DNS", "/srv/Groupware", "/srv/DNS"],
  ];
  for (const [written, base, url] of cases)
    t.match(resolveUrl(written, base), { url }, `${written} from ${base}`);
  t.match(resolveUrl("../x", "/a\tb/c"), {
    message: "../x is relative to /a b/c: the URL has a control character or a backslash",
  });
  for (const base of [HTTPS, "git@example.org:a/b", "file:///a/b", "/a/b", "ssh://h/a/b"]) {
    t.ok(isRefusedUrl(resolveUrl("../../../x", base)), `out of ${base}`);
  }
  t.end();
});

test("what is option-like, runs a helper, hides a separator or holds credentials is refused", (t) => {
  const refused = [
    ["", "empty"],
    ["--upload-pack=touch /tmp/x", "option"],
    ["--upload-pack=x", "option"],
    ["-u", "option"],
    ["ext::sh -c x", "helper"],
    [" https://example.org/x", "begins or ends with a space"],
    ["../x ", "begins or ends with a space"],
    ["https://a b.example.org/x", "malformed"],
    ["ext::sh", "helper"],
    ["fd::3", "helper"],
    ["::x", "helper"],
    ["transport-9.x::y", "helper"],
    ["git://example.org/x", "git://"],
    ["ftp://example.org/x", "ftp://"],
    ["javascript:alert", "no known form"],
    ["C:/repos/x", "no known form"],
    ["https://", "malformed"],
    ["https://user:secret@example.org/x", "credentials"],
    ["https://token@example.org/x", "credentials"],
    ["https://example.org/a/..%2fb", "separator"],
    ["https://example.org/a%5cb", "separator"],
    ["https://example.org/a?b", "query"],
    ["https://example.org/a#b", "query"],
    ["ssh://-oProxyCommand=x/y", "not the name of a host"],
    ["ssh://-oProxy@example.org/y", "not the name of a host"],
    ["-oProxyCommand=x@host:path", "option"],
    ["git@-host:path", "malformed"],
    ["git@host:../../x", "malformed"],
    ["git@host:-path", "malformed"],
    ["file://host/share", "malformed"],
    ["file:///a%2f..%2fb", "separator"],
    ["file:///a%zz", "separator"],
    ["/", "nowhere"],
    ["/../x", "nowhere"],
    ["a\nb", "control"],
    ["a\u0000b", "control"],
    ["a\\b", "backslash"],
    [`https://example.org/${"a".repeat(3000)}`, "longer"],
  ] as const;
  for (const [written, says] of refused) {
    const result = resolveUrl(written, HTTPS);
    t.ok(
      isRefusedUrl(result) && result.message.includes(says),
      `${JSON.stringify(written)}: ${JSON.stringify(result)}`,
    );
  }
  const secret = resolveUrl("https://user:secret@example.org/x", HTTPS);
  t.notMatch(JSON.stringify(secret), /secret/, "the message does not repeat the password");
  t.end();
});

test("a policy's prefixes match at path boundaries only", (t) => {
  const allowed = (url: string, prefix: string): boolean => {
    const target = parseUrl(url);
    if (isRefusedUrl(target)) throw new Error(target.message);
    return policyProblem(target, { allow: [prefix] }) === undefined;
  };
  t.ok(allowed("https://h/acme/DNS", "https://h/acme"));
  t.ok(allowed("https://h/acme/DNS", "https://h/acme/"));
  t.ok(allowed("https://h/acme", "https://h/acme"));
  t.ok(allowed("https://h/acme/DNS", "https://H/"));
  t.notOk(allowed("https://h/acme-evil/DNS", "https://h/acme"));
  t.notOk(allowed("https://h.evil.org/acme", "https://h"));
  t.notOk(allowed("https://h/acme/../evil/DNS", "https://h/acme"), "normalised first");
  t.notOk(allowed("http://h/acme/DNS", "https://h/acme"));
  t.ok(allowed("git@h:acme/DNS", "git@h:acme"));
  t.ok(allowed("git@h:acme/DNS", "git@h:"));
  t.notOk(allowed("git@h:acme-evil/DNS", "git@h:acme"));
  t.ok(allowed("/srv/repos/DNS", "/srv/repos"));
  t.notOk(allowed("/srv/repos2/DNS", "/srv/repos"));
  t.notOk(allowed("/srv/x", ""), "an empty prefix allows nothing");
  t.match(policyProblem({ url: "/srv/x", kind: "path" }, { refusePaths: true }), { message: /is a path/ });
  t.match(policyProblem({ url: "file:///x", kind: "file" }, { refusePaths: true }), { message: /is a path/ });
  t.equal(policyProblem({ url: "https://h/x", kind: "https" }, { refusePaths: true }), undefined);
  t.end();
});
