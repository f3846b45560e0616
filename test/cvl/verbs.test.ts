import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import t from "tap";
import { runCli } from "../../src/cli/main.ts";
import { run } from "../../src/io.ts";

const SOUND = `Server extends VMAppliance {
  var "required" port;
  var "sensitive" password;
  var note;
  vm = "server.vm.yaml";
}

office extends VANAppliance {
  Server web, db;
  web.port = "80", "443";
  web.note = db.port;
  db.note = { ip => web.ethernet0.ip };
}
`;

const MACHINE = "format: 1\nmemory: 64\n";

interface Result {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

async function cui(cwd: string, ...args: string[]): Promise<Result> {
  const out: string[] = [];
  const err: string[] = [];
  const env = { ...process.env, XDG_CACHE_HOME: path.join(cwd, ".cache") };
  const status = await runCli(args, {
    cwd,
    env,
    isTerminal: false,
    print: (text) => out.push(text),
    warn: (text) => err.push(text),
  });
  return { status, out: out.join("\n"), err: err.join("\n") };
}

t.test("cui eval lists every parameter", async (t) => {
  const cwd = t.testdir({ "office.cvl": SOUND });
  const { status, out, err } = await cui(cwd, "eval", "office.cvl");
  t.equal(status, 0);
  t.equal(err, "");
  t.match(out, /^office {2}network office$/m);
  t.match(out, /^web {2}machine Server$/m);
  t.match(out, /^ {2}port +80\n +443$/m);
  t.match(out, /^ {2}port +\(unset: db\.port\)$/m);
  t.match(out, /^ {2}note +\(unset: db\.port\)$/m);
  t.match(out, /^ {2}note +\(assigned at start\)$/m);
  t.match(out, /^ {2}password +\(sensitive\)$/m);
  t.match(out, /^ {2}datadisks +\(unset\)$/m);
});

t.test("cui eval with a path shows a component, a parameter or an interface", async (t) => {
  const cwd = t.testdir({ "office.cvl": SOUND });
  t.equal((await cui(cwd, "eval", "office.cvl", "web.port")).out, "80\n443");
  t.equal((await cui(cwd, "eval", "office.cvl", "name")).out, "office");
  t.equal(
    (await cui(cwd, "eval", "office.cvl", "web.ethernet0.ip", "--json")).out,
    '[{"unknown":["web.ethernet0.ip"]}]',
  );
  t.match((await cui(cwd, "eval", "office.cvl", "web.ethernet0")).out, /^mac +\(assigned at start\)\nip /);
  t.match((await cui(cwd, "eval", "office.cvl", "db")).out, /^db {2}machine Server\n/);
  const json = JSON.parse((await cui(cwd, "eval", "office.cvl", "db", "--json")).out) as {
    appliance: string;
    components: object;
  };
  t.equal(json.appliance, "office");
  t.same(Object.keys(json.components), ["db"]);
  const wrong = await cui(cwd, "eval", "office.cvl", "web.prot");
  t.equal(wrong.status, 1);
  t.match(wrong.err, /no component or parameter web\.prot\n {2}hint: did you mean `web\.port`\?/);
});

t.test("cui eval --json prints what DESIGN says", async (t) => {
  const cwd = t.testdir({ "office.cvl": SOUND });
  const { out } = await cui(cwd, "eval", "office.cvl", "--json");
  t.match(JSON.parse(out), {
    appliance: "office",
    components: {
      "": { kind: "network", class: "office", parameters: { name: ["office"] } },
      db: {
        kind: "machine",
        class: "Server",
        parameters: {
          port: [],
          password: [{ sensitive: true }],
          note: [{ unknown: ["web.ethernet0.ip"] }],
          "ethernet0.ip": [{ unknown: ["db.ethernet0.ip"] }],
        },
      },
      web: { parameters: { port: ["80", "443"], note: [{ unset: ["db.port"] }] } },
    },
  });
});

t.test("errors are on standard error with place and caret, and the status is 1", async (t) => {
  const cwd = t.testdir({
    "x.cvl": 'x extends VMAppliance {\n  prot = "1";\n}\n',
    "two.cvl": "a extends VMAppliance { } b extends VMAppliance { }",
  });
  const wrong = await cui(cwd, "eval", "x.cvl");
  t.equal(wrong.status, 1);
  t.equal(wrong.out, "");
  t.match(
    wrong.err,
    'x.cvl:2:3: error CVL_UNKNOWN_PARAMETER: `x` has no parameter `prot`\n      prot = "1";\n      ^^^^\n',
  );
  t.match((await cui(cwd, "eval", "two.cvl")).err, /CVL_ROOT_OBJECT.*--object/);
  t.equal((await cui(cwd, "eval", "two.cvl", "--object", "b")).status, 0);
  t.match(await cui(cwd, "eval", "nowhere.cvl"), {
    status: 1,
    err: /nowhere\.cvl cannot be read: no such file or directory\n {2}hint: check the path/,
  });
  t.match(await cui(cwd, "eval", "."), { status: 1, err: /cannot be read: [^\n]* is a directory/ });
  t.match(await cui(cwd, "eval"), { status: 2 });
  t.match(await cui(cwd, "eval", "--nonsense", "x.cvl"), { status: 2 });
});

t.test("a file's control characters do not reach the terminal", async (t) => {
  const cwd = t.testdir({
    "x.cvl": 'x extends VMAppliance {\n  var a;\n  a = "\u001b[2J";\n}\n',
    "y.cvl": 'y extends VMAppliance {\n  "\u001b[2J" = ;\n}\n',
  });
  t.notMatch((await cui(cwd, "eval", "x.cvl")).out, /\u001b/);
  t.notMatch((await cui(cwd, "check", "y.cvl")).err, /\u001b/);
});

t.test("cui check reports every file's mistakes, and files with several objects", async (t) => {
  const cwd = mkdtempSync(path.join(tmpdir(), "cui-check-"));
  t.teardown(() => {
    rmSync(cwd, { recursive: true });
  });
  writeFileSync(path.join(cwd, "good.cvl"), SOUND.replace("office ext", "good ext"));
  writeFileSync(path.join(cwd, "server.vm.yaml"), MACHINE);
  const library = "a extends VMAppliance { } b extends VMAppliance { var x, y; x = y; y = x; }";
  writeFileSync(path.join(cwd, "library.cvl"), library);
  writeFileSync(path.join(cwd, "bad.cvl"), "bad extends VMAppliance {\n  var a\n  b = c;\n}\n");
  t.match(await cui(cwd, "check", "good.cvl"), { status: 0, out: "1 file checked, 0 errors", err: "" });
  const several = await cui(cwd, "check", "library.cvl");
  t.equal(several.status, 1);
  t.match(several.err, /library\.cvl:1:\d+: error CVL_VALUE_CYCLE/);
  const all = await cui(cwd, "check");
  t.equal(all.status, 1);
  t.match(all.err, /bad\.cvl:2:8: error CVL_SYNTAX/);
  t.match(all.err, /CVL_VALUE_CYCLE/);
  t.match(all.err, /3 files checked, 2 errors/);
  const json = JSON.parse((await cui(cwd, "check", "--json", "bad.cvl")).out) as object[];
  t.match(json, [
    { code: "CVL_SYNTAX", severity: "error", file: "bad.cvl", line: 2, column: 8, hint: String },
  ]);
  t.same(JSON.parse((await cui(cwd, "check", "--json", "good.cvl")).out), []);
});

t.test("cui check finds what can be found without the images of machines", async (t) => {
  const machines = `FW extends VMAppliance { Interface ethernet1; var x; vm = "fw.vm.yaml"; provides = "GW"; }
    Web extends VMAppliance { var x; vm = "web.vm.yaml"; requires = "GW"; }`;
  const cwd = mkdtempSync(path.join(tmpdir(), "cui-check-"));
  t.teardown(() => {
    rmSync(cwd, { recursive: true });
  });
  for (const name of ["fw", "web"]) writeFileSync(path.join(cwd, `${name}.vm.yaml`), MACHINE);
  const check = async (body: string): Promise<Result> => {
    const office = `office extends VANAppliance { FW f; Web w; vanIF = "f.ethernet1"; defaultroute = f.ethernet0.ip; ${body} }`;
    writeFileSync(path.join(cwd, "office.cvl"), `${machines}\n${office}\n`);
    return cui(cwd, "check", "office.cvl");
  };
  t.match(await check(""), { status: 0, out: "1 file checked, 0 errors", err: "" });
  const mistakes: readonly [body: string, code: string][] = [
    ['vanIF = "f.ethernet7";', "NETWORK_VANIF_NO_INTERFACE"],
    ['w.vanIF = "eth0";', "NETWORK_VANIF_NO_INTERFACE"],
    ['vanIF = "f.ethernet0";', "NETWORK_INTERFACE_ON_TWO_SEGMENTS"],
    ['f.requires = "WWW"; w.provides = "WWW";', "NETWORK_DEPENDENCY_CYCLE"],
    ['w.requires = "DNS";', "NETWORK_REQUIREMENT_UNPROVIDED"],
    ['w.ethernet0.subnet = "10.1.0.0"; f.ethernet0.subnet = "10.2.0.0";', "NETWORK_SUBNET_DIFFERS"],
    ['w.ethernet0.ip = "10.1.0.300";', "NETWORK_ADDRESS_SYNTAX"],
    ['w.datadisks = { device => "vdb", size => "many" };', "NETWORK_DATA_DISK_SIZE"],
    ['defaultroute = "10.1.0.1";', "NETWORK_DEFAULTROUTE_ELSEWHERE"],
    ["defaultroute = f.ethernet1.ip;", "NETWORK_DEFAULTROUTE_ELSEWHERE"],
    ["w.x = { gateway => f.ethernet0.defaultroute };", "NETWORK_NEVER_ASSIGNED"],
    ["vanIF = nothing; var nothing; w.x = f.ethernet1.ip;", "NETWORK_NEVER_ASSIGNED"],
  ];
  for (const [body, code] of mistakes) {
    const { status, err } = await check(body);
    t.equal(status, 1, body);
    t.match(err, new RegExp(`office\\.cvl:\\d+:\\d+: error ${code}: `), body);
    t.match(err, "1 file checked, 1 error", body);
  }
});

t.test("cui check takes a machine alone as part of a network, unless it is a site's", async (t) => {
  const text = `web extends VMAppliance { Interface ethernet1; var x; x = ethernet1.ip; vm = "web.vm.yaml"; requires = "GW"; }\n`;
  const part = t.testdir({ "web.cvl": text, "web.vm.yaml": MACHINE });
  t.match(await cui(part, "check", "web.cvl"), {
    status: 0,
    out: "1 file checked, 0 errors and 1 warning",
    err: /warning NETWORK_REQUIREMENT_UNPROVIDED/,
  });
  const site = t.testdir({
    "web.cvl": text,
    "utility.yaml": "format: 1\n",
    library: { "web.cvl": text, "web.vm.yaml": MACHINE },
  });
  const whole = await cui(site, "check", "web.cvl");
  t.equal(whole.status, 1);
  t.match(whole.err, /error NETWORK_REQUIREMENT_UNPROVIDED/);
  t.match(whole.err, /error NETWORK_NEVER_ASSIGNED/);
  t.equal((await cui(site, "check", "library/web.cvl")).status, 0);
});

t.test("a file without end, or larger than the limit, is not read whole", async (t) => {
  const cwd = t.testdir({
    "large.cvl": "/".repeat(32 * 1024 * 1024 + 1),
    "device.cvl": t.fixture("symlink", "/dev/zero"),
  });
  for (const verb of ["check", "eval", "fmt"]) {
    t.match(await cui(cwd, verb, "large.cvl"), {
      status: 1,
      err: /error CVL_LIMIT: a file may have at most 33554432 bytes, this one has more/,
    });
    t.match(await cui(cwd, verb, "device.cvl"), {
      status: 1,
      err: /device\.cvl is a character device, not a regular file/,
    });
  }
});

t.test("mistakes in a text of many lines have their lines found fast", async (t) => {
  const text = `${"\n".repeat(2_000_000)}${Array.from({ length: 150 }, (_, at) => `x${at} = "y";`).join("\n\n")}`;
  const cwd = t.testdir({ "lines.cvl": text });
  const before = process.cpuUsage();
  const { err } = await cui(cwd, "check", "lines.cvl");
  t.match(err, /lines\.cvl:2000001:1: error CVL_FILE_ASSIGNMENT/);
  t.match(err, /lines\.cvl:2000299:1: error CVL_FILE_ASSIGNMENT/);
  const { user } = process.cpuUsage(before);
  t.ok(user < 20e6, `${user / 1e6} s`);
});

t.test("cui check looks at what git does not ignore", async (t) => {
  const cwd = t.testdir({
    ".gitignore": "ignored.cvl\n",
    "ignored.cvl": "nonsense",
    "new.cvl": "new extends VMAppliance { }",
    inner: { "tracked.cvl": "tracked extends VMAppliance { }" },
    "gone.cvl": "gone extends VMAppliance { }",
  });
  const git = (...args: string[]) =>
    run({ file: "git", args, cwd, env: { GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" } });
  await git("init", "-q");
  await git("add", "inner", "gone.cvl");
  await git("config", "core.fsmonitor", `touch ${path.join(cwd, "started")}; true`);
  await run({ file: "rm", args: [path.join(cwd, "gone.cvl")] });
  t.match(await cui(cwd, "check"), { status: 0, out: "2 files checked, 0 errors" });
  t.throws(() => statSync(path.join(cwd, "started")), "the repository's settings start no program");
});

t.test("a file without imports is evaluated without git", async (t) => {
  const cwd = t.testdir({ "office.cvl": SOUND, "cvl.lock": "not even YAML: {" });
  const { PATH } = process.env;
  process.env["PATH"] = cwd;
  t.teardown(() => (process.env["PATH"] = PATH));
  t.equal((await cui(cwd, "eval", "office.cvl")).status, 0);
});

t.test("imports are resolved from repositories", async (t) => {
  const cwd = t.testdir({
    repository: { "DNS.cvl": 'DNS extends VMAppliance { var "required" domain; vm = "dns.vm.yaml"; }\n' },
    "site.cvl":
      'import { url => "./repository", cvl => "DNS.cvl" } DNS;\nsite extends VANAppliance { DNS d; d.domain = "x"; }\n',
  });
  const git = (...args: string[]) =>
    run({
      file: "git",
      args: ["-c", "user.name=test", "-c", "user.email=test@example.org", ...args],
      cwd: path.join(cwd, "repository"),
      env: { GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" },
    });
  await git("init", "-q");
  await git("add", ".");
  await git("commit", "-qm", "one");
  await git("tag", "v1");
  const { status, out } = await cui(cwd, "eval", "site.cvl", "d", "--json");
  t.equal(status, 0);
  t.match(JSON.parse(out), {
    components: {
      d: { class: "DNS", source: { version: 1, commit: /^[0-9a-f]{40}$/ }, parameters: { domain: ["x"] } },
    },
  });
  t.throws(() => statSync(path.join(cwd, "cvl.lock")), "eval writes nothing");
});

t.test("cui fmt writes what it formats, and keeps mode and links", async (t) => {
  const cwd = t.testdir({
    "a.cvl": 'a extends VMAppliance{vm="x";// c\n}',
    "b.cvl": "b extends VMAppliance {}\n",
    "bad.cvl": "bad extends {",
  });
  chmodSync(path.join(cwd, "a.cvl"), 0o600);
  symlinkSync("a.cvl", path.join(cwd, "link.cvl"));
  t.match(await cui(cwd, "fmt", "--check", "a.cvl", "b.cvl"), {
    status: 1,
    out: /^a\.cvl is not formatted$/m,
    err: /1 file not formatted/,
  });
  t.match(await cui(cwd, "fmt", "link.cvl"), { status: 0 });
  t.equal(readFileSync(path.join(cwd, "a.cvl"), "utf8"), 'a extends VMAppliance {\n  vm = "x"; // c\n}\n');
  t.equal(statSync(path.join(cwd, "a.cvl")).mode & 0o777, 0o600);
  t.match(await cui(cwd, "fmt", "--check", "a.cvl", "b.cvl"), { status: 0, out: "2 files, 0 changed" });
  t.match(await cui(cwd, "fmt", "bad.cvl"), { status: 1, err: /CVL_SYNTAX/ });
  t.equal(readFileSync(path.join(cwd, "bad.cvl"), "utf8"), "bad extends {");
});
