import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { mkdtempSync } from "node:fs";
import path from "node:path";
import { test, type Test } from "tap";
import { runCli } from "../../src/cli/main.ts";
import { serveHost } from "../../src/host/serve-host.ts";
import { createMemoryHost, type MemoryHost } from "../manager/memory-host.ts";
import { git } from "../git/git-fixture.ts";

const CUI = path.resolve("dist/cui.js");

interface Shell {
  readonly folder: string;
  readonly site: string;
  readonly hosts: readonly MemoryHost[];
  /** Runs one command line, in the site unless it says another folder. */
  readonly cui: (
    line: string,
    env?: Record<string, string>,
    cwd?: string,
    answer?: string,
  ) => Promise<{ status: number; out: string; err: string }>;
}

const VM = `format: 1
memory: 64MiB
disks:
  - device: vda
    source: root.img
`;

const disks = (mebibytes: number): string =>
  `datadisks = { device => "vdb", size => "${mebibytes}MiB" }, { device => "vdc", size => "16MiB" };`;

const CVL: Readonly<Record<string, string>> = {
  DNS: `CVL = "0.8";\nDNS extends VMAppliance {\n  var hosts;\n  vm = "DNS.vm.yaml";\n  provides = "DNS";\n}\n`,
  Box: `CVL = "0.8";\nBox extends VMAppliance {\n  vm = "Box.vm.yaml";\n  ${disks(16)}\n}\n`,
  Firewall: `CVL = "0.8";\nFirewall extends VMAppliance {\n  Interface ethernet1;\n  vm = "Firewall.vm.yaml";\n}\n`,
  Web: `CVL = "0.8";\nWeb extends VMAppliance {\n  var title;\n  var "sensitive" password;\n  vm = "Web.vm.yaml";\n  requires = "DNS";\n}\n`,
};

const BOX = `CVL = "0.8";
import { url => "../repos/Box", cvl => "Box.cvl" } Box;
Root extends Box { DISKS }
`;

const OFFICE = `CVL = "0.8";
import { url => "../repos/DNS", cvl => "DNS.cvl" } DNS;
import { url => "../repos/Firewall", cvl => "Firewall.cvl" } Firewall;
import { url => "../repos/Web", cvl => "Web.cvl" } Web;
Office extends VANAppliance {
  DNS d;
  Firewall f;
  Web w;
  d.hosts = { name => "www", ip => w.ethernet0.ip };
  w.title = "hello";
  vanIF = "f.ethernet1";
  defaultroute = f.ethernet0.ip;
}
`;

const SECRET = { CUI_SECRET_Office__w__password: "hunter2 hunter2" };

async function openShell(t: Test): Promise<Shell> {
  const folder = mkdtempSync(path.join(tmpdir(), "cui-verbs-"));
  const hosts = [createMemoryHost({ name: "h1" }), createMemoryHost({ name: "h2" })];
  const servers = await Promise.all(
    hosts.map((host, index) => listen(host, path.join(folder, `h${index + 1}.sock`))),
  );
  const cache = process.env["XDG_CACHE_HOME"];
  process.env["XDG_CACHE_HOME"] = path.join(folder, "cache");
  t.teardown(() => {
    for (const server of servers) server.close();
    if (cache === undefined) Reflect.deleteProperty(process.env, "XDG_CACHE_HOME");
    else process.env["XDG_CACHE_HOME"] = cache;
    rmSync(folder, { recursive: true, force: true });
  });
  const site = path.join(folder, "site");
  mkdirSync(site);
  writeFileSync(path.join(site, "utility.yaml"), "# our site\nformat: 1\n");
  writeFileSync(path.join(site, "office.cvl"), OFFICE);
  const shell: Shell = {
    folder,
    site,
    hosts,
    cui: async (line, env = {}, cwd = site, answer?: string) => {
      const out: string[] = [];
      const err: string[] = [];
      const status = await runCli(line.split(" "), {
        cwd,
        env: { CUI_STATE: path.join(folder, "state.git"), ...env },
        isTerminal: false,
        ...(answer === undefined ? {} : { ask: () => Promise.resolve(answer) }),
        print: (text) => void out.push(text),
        warn: (text) => void err.push(text),
      });
      return { status, out: out.join("\n"), err: err.join("\n") };
    },
  };
  return shell;
}

async function publish(shell: Shell, name: string, content: string): Promise<void> {
  const work = path.join(shell.folder, "work", name);
  mkdirSync(work, { recursive: true });
  writeFileSync(path.join(work, `${name}.cvl`), CVL[name] ?? "");
  const vm = name === "Box" ? `${VM}  - device: vdb\n  - device: vdc\n` : VM;
  writeFileSync(path.join(work, `${name}.vm.yaml`), vm);
  writeFileSync(path.join(work, "root.img"), Buffer.alloc(128 * 1024, content));
  const repository = path.join(shell.folder, "repos", name);
  const env = { GIT_AUTHOR_NAME: "Test", GIT_AUTHOR_EMAIL: "test@localhost" };
  const created = await shell.cui(`create ${repository}`, env);
  const published = await shell.cui(`publish ${repository} ${path.join(work, `${name}.cvl`)}`, env);
  if (published.status !== 0) throw new Error(created.err + published.err);
}

/** A host, tags and public addresses. */
async function addResources(
  shell: Shell,
  cui: (line: string) => ReturnType<Shell["cui"]> = shell.cui,
): Promise<void> {
  for (const line of [
    `host add h1 unix:${shell.folder}/h1.sock`,
    "vlan add 100-109",
    "address add 203.0.113.10-203.0.113.20 --subnet 203.0.113.0/24 --gateway 203.0.113.1 --vlan 900",
  ]) {
    const { status, err } = await cui(line);
    if (status !== 0) throw new Error(`cui ${line}: ${err}`);
  }
}

function listen(host: MemoryHost, socketPath: string): Promise<Server> {
  const server = createServer((socket) => {
    serveHost(host, { input: socket, output: socket });
  });
  return new Promise((resolve) =>
    server.listen(socketPath, () => {
      resolve(server);
    }),
  );
}

test("from an empty site to a running, updated and stopped network", async (t) => {
  const shell = await openShell(t);
  const good = async (line: string, env?: Record<string, string>): Promise<string> => {
    const { status, out, err } = await shell.cui(line, env);
    t.equal(status, 0, `cui ${line}: ${err}`);
    return out;
  };
  for (const name of ["DNS", "Firewall", "Web"]) await publish(shell, name, `${name} one`);

  t.equal(await good("host list"), "utility.yaml has no host");
  t.match(await good(`host add h1 unix:${shell.folder}/h1.sock`), "h1 added (x86_64, 4096MiB)");
  await good(`host add h2 unix:${shell.folder}/h2.sock --memory 1GiB --max-machines 5`);
  t.match(await good("host list"), /h2 .*x86_64 .*0\/1024 MiB .*0\/5/);
  await good("vlan add 100-109");
  await good(
    "address add 203.0.113.10-203.0.113.20 --subnet 203.0.113.0/24 --gateway 203.0.113.1 --vlan 900",
  );
  t.match(readFileSync(path.join(shell.site, "utility.yaml"), "utf8"), /^# our site\nformat: 1\n/);

  const plan = await good("plan office.cvl");
  t.match(plan, /start +w/);
  t.notMatch(plan, /10\.0\.100|203\.0\.113/, "no address is guessed");
  t.notOk(
    readFileSync(path.join(shell.site, "utility.yaml"), "utf8").includes("networks:"),
    "a plan writes nothing",
  );
  const refused = await shell.cui("start office.cvl");
  t.equal(refused.status, 1);
  t.match(refused.err, /UTILITY_SECRET_MISSING.*\n.*w\.password: set CUI_SECRET_Office__w__password/);
  t.same(
    shell.hosts.flatMap((host) => host.running()),
    [],
  );

  const started = await good("start office.cvl", SECRET);
  t.match(started, /started 3 machines in \d+\.\d s; manager's own share \d+\.\d s$/);
  t.comment(started.split("\n").at(-1) ?? "");
  t.match(started, /start w on h[12]: done, /);
  t.match(readFileSync(path.join(shell.site, "cvl.lock"), "utf8"), /version: 1/);
  t.match(readFileSync(path.join(shell.site, "utility.yaml"), "utf8"), /id: office-[0-9a-f]{6}/);
  t.ok(
    shell.hosts.every((host) => host.running().length > 0),
    "over both hosts",
  );

  const status = JSON.parse(await good("status office.cvl --json")) as {
    networks: { machines: { component: string; state: string; version: number }[] }[];
  };
  t.same(
    status.networks[0]?.machines.map(({ component, state, version }) => [component, state, version]),
    [
      ["d", "ready", 1],
      ["f", "ready", 1],
      ["w", "ready", 1],
    ],
  );
  t.match(await good("status"), /w +ready +v1 +h[12] +10\.0\.100\.3 +\d+ s +serving/);
  t.match(await good("vlan list"), /100 {2}office-/);
  t.match(await good("address list"), /203\.0\.113\.10 {2}office-\w+ f\.ethernet1/);
  const busy = await shell.cui("host remove h1");
  t.match([busy.status, busy.err], [1, /UTILITY_HOST_IN_USE/]);

  await publish(shell, "Web", "Web two");
  t.match(await good("update office.cvl", SECRET), /nothing to do/, "the lock decides");
  await good("lock office.cvl");
  t.match(await good("plan office.cvl"), /replace +w +v1 → v2/);
  const updated = JSON.parse(await good("update office.cvl --json", SECRET)) as {
    actions: { id: string; state: string }[];
    ownMs: number;
    totalMs: number;
  };
  t.same(
    updated.actions.map(({ id, state }) => [id, state]),
    [["replace w", "done"]],
  );
  t.ok(updated.ownMs > 0 && updated.ownMs <= updated.totalMs);
  await publish(shell, "DNS", "DNS two");
  t.match(await good("update office.cvl d --latest", SECRET), /replaced 1 machine/);

  const clone = path.join(shell.folder, "clone");
  git(shell.folder, "clone", "--quiet", path.join(shell.folder, "repos/Web"), clone);
  writeFileSync(
    path.join(clone, "withdrawn.yaml"),
    "format: 1\nwithdrawn:\n  - version: 2\n    why: it leaks\n",
  );
  git(clone, "add", "withdrawn.yaml");
  git(clone, "commit", "--quiet", "--message", "Withdraw v2");
  git(clone, "push", "--quiet", "origin", "HEAD");
  t.match(await good("plan office.cvl"), /warning: .*version 2 of .*withdrawn: it leaks/);

  writeFileSync(
    path.join(shell.site, "pinned.cvl"),
    OFFICE.replace('"Web.cvl"', '"Web.cvl", version => "9"'),
  );
  const before = git(path.join(shell.folder, "state.git"), "ls-tree", "-r", "--name-only", "main");
  const pinned = await shell.cui("start pinned.cvl --object Office", SECRET);
  t.match([pinned.status, pinned.err], [1, /UTILITY_REFUSED[^]*pinned\.cvl:4:\d+: error \w+:.*9/]);
  t.equal(git(path.join(shell.folder, "state.git"), "ls-tree", "-r", "--name-only", "main"), before);

  const planFile = path.join(shell.folder, "plan.json");
  await good(`plan office.cvl --out ${planFile}`);
  t.match(JSON.parse(readFileSync(planFile, "utf8")), {
    format: 1,
    actions: [],
    planDigest: /^[0-9a-f]{64}$/,
  });
  t.match(await good("stop office.cvl w"), /stopped 1 machine/);
  t.match(await good("stop office.cvl"), /stopped 2 machines/);
  t.match(await good("stop office.cvl"), /nothing runs/);
  t.same(
    shell.hosts.flatMap((host) => host.running()),
    [],
  );
  t.notOk(git(path.join(shell.folder, "state.git"), "log", "-p", "main").includes("hunter2"));
});

test("two sites with files of one name on the same hosts never meet", async (t) => {
  const shell = await openShell(t);
  for (const name of ["DNS", "Firewall", "Web"]) await publish(shell, name, `${name} one`);
  const second = path.join(shell.folder, "second");
  mkdirSync(second);
  writeFileSync(path.join(second, "utility.yaml"), "format: 1\n");
  writeFileSync(path.join(second, "office.cvl"), OFFICE.replace(/.*(Web w;|w\.).*\n/g, ""));
  const inFirst = (line: string): ReturnType<Shell["cui"]> => shell.cui(line, SECRET);
  const inSecond = (line: string, state: string): ReturnType<Shell["cui"]> =>
    shell.cui(line, { ...SECRET, CUI_STATE: path.join(shell.folder, state) }, second);
  await addResources(shell, inFirst);
  await addResources(shell, (line) => inSecond(line, "second.git"));
  t.equal((await inFirst("start office.cvl")).status, 0);
  const running = shell.hosts.flatMap((host) => host.running());
  const nameless = path.join(shell.folder, "nameless");
  cpSync(second, nameless, { recursive: true });
  const inventory = readFileSync(path.join(second, "utility.yaml"), "utf8").replace(/^site:.*\n/m, "");
  writeFileSync(path.join(nameless, "utility.yaml"), inventory);
  for (const line of [
    "plan office.cvl",
    "status",
    "data list",
    "start office.cvl",
    "update office.cvl",
    "stop office.cvl",
    "vlan list",
  ]) {
    const shared = await inSecond(line, "state.git");
    t.match([shared.status, shared.err], [1, /STATE_OTHER_SITE: .*belongs to the site/], line);
    const lacking = await shell.cui(line, SECRET, nameless);
    t.match([lacking.status, lacking.err], [1, /STATE_OTHER_SITE: .*no line `site:`/], line);
  }
  t.equal(readFileSync(path.join(nameless, "utility.yaml"), "utf8"), inventory, "nor is it given an id");
  const alone = await inSecond("update office.cvl", "second.git");
  t.match([alone.status, alone.err], [1, /UTILITY_NOT_RUNNING/]);
  t.same(
    shell.hosts.flatMap((host) => host.running()),
    running,
    "what the first site runs goes on running",
  );
  const started = await inSecond("start office.cvl", "second.git");
  t.equal(started.status, 0, started.err);
  t.equal(shell.hosts.flatMap((host) => host.running()).length, running.length + 2);
  t.match(
    (await inSecond("status", "second.git")).out,
    /10\.0\.101\./,
    "with a tag and addresses of its own",
  );

  const lost = (line: string): ReturnType<Shell["cui"]> =>
    shell.cui(line, { CUI_STATE: path.join(shell.folder, "lost.git") });
  for (const line of ["status", "status office.cvl"])
    t.match(
      (await lost(line)).out,
      /^not in the state, which was lost[^]* w of office-[0-9a-f]{6} \(office\.cvl\): ready on h1/,
      `${line}: machines that the state knows nothing of are named`,
    );
  t.match((await lost("status")).out, /not of this site's utility\.yaml: ready on h1/);
  t.notMatch((await lost("status office.cvl")).out, /not of this site/);
});

test("a reader that goes away does not cut a start in half", async (t) => {
  const shell = await openShell(t);
  for (const name of ["DNS", "Firewall", "Web"]) await publish(shell, name, `${name} one`);
  await addResources(shell);
  const env = { ...process.env, ...SECRET, CUI_STATE: path.join(shell.folder, "state.git") };
  const child = spawn(process.execPath, [CUI, "start", "office.cvl"], { cwd: shell.site, env });
  for (const stream of [child.stdout, child.stderr]) {
    stream.once("data", () => stream.destroy());
  }
  const [status] = (await once(child, "exit")) as [number | null];
  t.equal(status, 0);
  t.equal(shell.hosts.flatMap((host) => host.running()).length, 3);
});

test(
  "a full disk behind standard output is one line, and the work is done",
  { skip: existsSync("/dev/full") ? false : "no /dev/full" },
  async (t) => {
    const shell = await openShell(t);
    const full = openSync("/dev/full", "w");
    t.teardown(() => {
      closeSync(full);
    });
    const child = spawn(process.execPath, [CUI, "vlan", "add", "100-109"], {
      cwd: shell.site,
      stdio: ["ignore", full, "pipe"],
    });
    const said: Buffer[] = [];
    child.stderr?.on("data", (chunk: Buffer) => void said.push(chunk));
    const [status] = (await once(child, "close")) as [number | null];
    t.equal(status, 1);
    t.match(
      Buffer.concat(said).toString(),
      /^error: standard output cannot be written: [^\n]*ENOSPC[^\n]*\n$/,
    );
    t.match(readFileSync(path.join(shell.site, "utility.yaml"), "utf8"), /100-109/);
  },
);

test("bad words are usage, missing things one clear error", async (t) => {
  const shell = await openShell(t);
  const cases: [string, number, RegExp][] = [
    ["start", 2, /missing required argument/],
    ["start office.cvl --timeout soon", 2, /--timeout expects whole seconds/],
    ["vlan add 5000", 2, /from 1 to 4094/],
    ["address add nowhere", 2, /expected an address/],
    ["address add 203.0.113.9 --subnet 203.0.113.0/24", 2, /belong together/],
    ["host add h1", 2, /expected a name and an address/],
    ["host add h1 tcp:1 --memory 1GiB --arch x86_64", 1, /UTILITY_INVENTORY_INVALID[^]*expected unix:\/path/],
    ["host add h1 unix:/nowhere.sock", 1, /HOST_UNREACHABLE/],
    ["host add --lab /nowhere", 1, /LAB_NOT_FOUND/],
    ["host remove h9", 1, /UTILITY_HOST_UNKNOWN/],
    ["stop office.cvl", 1, /UTILITY_NETWORK_UNKNOWN/],
    ["status office.cvl", 1, /UTILITY_NETWORK_UNKNOWN/],
    ["remove office.cvl --lost-data-disk W/", 2, /--lost-data-disk expects a component and a device/],
    ["console office.cvl w", 1, /UTILITY_NETWORK_UNKNOWN/],
    ["start nothing.cvl", 1, /nothing\.cvl/],
    ["start ../../x.cvl", 1, /UTILITY_NO_SITE/],
    ["start office.cvl", 1, /office\.cvl:2:\d+: error \w+:[^]*repos\/DNS/],
  ];
  for (const [line, status, message] of cases) {
    const result = await shell.cui(line, SECRET);
    t.equal(result.status, status, `cui ${line}: ${result.err}`);
    t.match(result.err, message, `cui ${line}`);
  }
  t.match(
    readFileSync(path.join(shell.site, "utility.yaml"), "utf8"),
    /^# our site\nformat: 1\nsite: \S{12,14}\n$/,
    "the site has got its id, and nothing else",
  );
  for (const verb of ["start", "stop", "update", "status", "plan", "console", "vlan", "address", "host"]) {
    const { status, out } = await shell.cui(`${verb} --help`);
    t.equal(status, 0);
    t.match(out, /Examples?:\n {2}(cui|CUI)/, verb);
  }
});

test("tags and addresses that hosts use are not free, whatever the state knows", async (t) => {
  const shell = await openShell(t);
  for (const name of ["DNS", "Firewall", "Web"]) await publish(shell, name, `${name} one`);
  await addResources(shell);
  t.equal((await shell.cui("start office.cvl", SECRET)).status, 0);
  const known = (await shell.cui("vlan list")).out;
  t.match(known, /^100 {2}office-[0-9a-f]{6}\n9 of 10 tags are free$/, "what both know is told once");
  t.match(
    (await shell.cui("address list")).out,
    /^203\.0\.113\.10 {2}office-\w+ f\.ethernet1\n10 of 11 addresses/m,
  );

  const lost = { CUI_STATE: path.join(shell.folder, "another.git") };
  t.match(
    (await shell.cui("vlan list", lost)).out,
    /^100 {2}\w of office-[0-9a-f]{6} on h1, which the state does not know\n9 of 10 tags are free$/,
  );
  t.match(
    (await shell.cui("address list", lost)).out,
    /^203\.0\.113\.10 {2}f of office-\w+ on h1, which the state does not know\n10 of 11 addresses are free$/m,
  );
  const tags = JSON.parse((await shell.cui("vlan list --json", lost)).out) as object[];
  t.match(tags[0], { tag: 100, network: /^office-/, onHost: /of office-\w+ on h1$/ });
  t.same(tags[1], { tag: 101, network: null, onHost: null });
  t.match(JSON.parse((await shell.cui("address list --json", lost)).out), {
    used: [
      { address: "203.0.113.10", network: /^office-/, component: "f", onHost: /^f of office-\w+ on h1$/ },
    ],
    unreachable: [],
  });
  const utility = path.join(shell.site, "utility.yaml");
  writeFileSync(utility, readFileSync(utility, "utf8").replace("203.0.113.10-", "203.0.113.11-"));
  t.match((await shell.cui("address list")).out, /10 of 10 addresses are free/, "none of the pool is used");

  writeFileSync(utility, readFileSync(utility, "utf8").replace("h1.sock", "nobody.sock"));
  t.match(await shell.cui("vlan list", lost), {
    out: "10 of 10 tags are free",
    err: /warning: host h1: .*; the tags it uses are not counted/,
  });
});

test("a network that is removed while it runs is stopped with a limit of its own", async (t) => {
  const shell = await openShell(t);
  for (const name of ["DNS", "Firewall", "Web"]) await publish(shell, name, `${name} one`);
  await addResources(shell);
  const limits: number[] = [];
  const [h1] = shell.hosts;
  const stopMachine = h1!.stopMachine.bind(h1);
  h1!.stopMachine = (fence, id, timeoutMs) => {
    limits.push(timeoutMs);
    return stopMachine(fence, id, timeoutMs);
  };
  t.equal((await shell.cui("start office.cvl", SECRET)).status, 0);
  t.match(await shell.cui("remove office.cvl --yes --timeout 7"), {
    status: 2,
    err: /--timeout is for --stop/,
  });
  t.match(await shell.cui("remove office.cvl --stop --yes --timeout soon"), {
    status: 2,
    err: /whole seconds/,
  });
  t.same(limits, []);
  t.match(await shell.cui("remove office.cvl --stop --yes --timeout 7"), { status: 0 });
  t.same([...new Set(limits)], [7000]);
});

test("what takes machines or data away is confirmed; a network is removed and can come back", async (t) => {
  const shell = await openShell(t);
  for (const name of ["DNS", "Firewall", "Web"]) await publish(shell, name, `${name} one`);
  await addResources(shell);
  t.equal((await shell.cui("start office.cvl", SECRET)).status, 0);
  const running = (): string[] => shell.hosts.flatMap((host) => host.running());
  const all = running();

  const cvl = path.join(shell.site, "office.cvl");
  writeFileSync(cvl, OFFICE.replace(/.*(Web w;|w\.).*\n/g, ""));
  const unasked = await shell.cui("update office.cvl", SECRET);
  t.match(
    [unasked.status, unasked.err],
    [1, /UTILITY_NOT_CONFIRMED[^]*remove w on h1: no longer declared[^]*--yes/],
  );
  const inJson = JSON.parse((await shell.cui("update office.cvl --json", SECRET)).out) as object;
  t.match(inJson, {
    error: { message: /nobody can be asked here:\n {2}remove w on h1: no longer declared/ },
  });
  const denied = await shell.cui("update office.cvl", SECRET, shell.site, "no");
  t.match(
    [denied.status, denied.err],
    [1, /remove w on h1: no longer declared[^]*UTILITY_NOT_CONFIRMED: nothing was changed/],
  );
  t.same(running(), all);
  t.equal((await shell.cui("update office.cvl", SECRET, shell.site, "yes")).status, 0);
  t.equal(running().length, 2);

  const early = await shell.cui("remove office.cvl --yes");
  t.match([early.status, early.err], [1, /UTILITY_NETWORK_RUNNING: office\.cvl runs: d \(ready on h1\), f/]);
  const unstopped = await shell.cui("remove office.cvl");
  t.match(unstopped.err, /UTILITY_NETWORK_RUNNING/, "nobody is asked about what is refused");
  const alone = await shell.cui("remove office.cvl --stop");
  t.match([alone.status, alone.err], [1, /UTILITY_NOT_CONFIRMED[^]*remove office\.cvl: d, f; its tags/]);
  const notLost = await shell.cui("remove office.cvl --stop --yes --lost-data-disk d:vdb");
  t.match(
    [notLost.status, notLost.err],
    [1, /UTILITY_DATA_DISK_UNKNOWN: d has no data disk vdb; it has none/],
  );
  const removed = await shell.cui("remove office.cvl --stop --yes --json");
  t.match([removed.status, JSON.parse(removed.out)], [0, { machines: ["d", "f"] }]);
  t.same(running(), []);
  t.equal((await shell.cui("status")).out, "nothing was started yet");
  t.match((await shell.cui("vlan list")).out, /10 of 10 tags are free/);
  t.notMatch(readFileSync(path.join(shell.site, "utility.yaml"), "utf8"), /file: office\.cvl/);
  t.match((await shell.cui("remove office.cvl --yes")).err, /UTILITY_NETWORK_UNKNOWN/);
  const again = await shell.cui("start office.cvl", SECRET);
  t.equal(again.status, 0, `hosts remember the tokens of a network that was removed: ${again.err}`);
});

test("lost data disks of a root machine: all are named in the form that is accepted, and said to be lost", async (t) => {
  const shell = await openShell(t);
  await publish(shell, "Box", "one");
  await addResources(shell);
  writeFileSync(path.join(shell.site, "box.cvl"), BOX.replace("DISKS", ""));
  const started = await shell.cui("start box.cvl");
  t.equal(started.status, 0, started.err);
  writeFileSync(path.join(shell.site, "box.cvl"), BOX.replace("DISKS", disks(32)));
  const pending = await shell.cui("start box.cvl");
  t.match([pending.status, pending.err], [0, "note: changes of the machine wait for `cui update box.cvl`"]);
  t.equal((await shell.cui("stop box.cvl")).status, 0);
  for (const { disks } of shell.hosts) disks.length = 0;

  const unsaid = await shell.cui("remove box.cvl --yes");
  t.match(
    unsaid.err,
    /UTILITY_DATA_DISK_MISSING[^]*`cui remove box\.cvl --lost-data-disk :vdb --lost-data-disk :vdc`/,
  );
  for (const names of [
    [":vdb", ":vdc"],
    [".:vdb", ".:vdc"],
    ["vdb", "vdc"],
  ]) {
    const line = `remove box.cvl ${names.map((name) => `--lost-data-disk ${name}`).join(" ")}`;
    const asked = await shell.cui(line);
    t.match(
      asked.err,
      /UTILITY_NOT_CONFIRMED[^]*the data disk vdb of the machine on h1 is lost, and is let go of/,
      line,
    );
    t.notMatch(asked.err, /goes to the attic/);
  }
  const unknown = await shell.cui("start box.cvl --new-data-disk vdq");
  t.match(unknown.err, /UTILITY_DATA_DISK_UNKNOWN: the machine has no data disk vdq; it has vdb, vdc/);
  const removed = await shell.cui("remove box.cvl --yes --lost-data-disk .:vdb --lost-data-disk .:vdc");
  t.match(
    [removed.status, removed.out],
    [0, /lost: vdb of the machine on h1\n {2}lost: vdc of the machine on h1$/],
  );
  for (const verb of ["remove", "start", "update", "plan"])
    t.notMatch((await shell.cui(`${verb} --help`)).out, /default: \{\}/, verb);
});
