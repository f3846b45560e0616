/** `cui attic` and `cui data` against hosts in memory behind real sockets. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type Test } from "tap";
import { runCli } from "../../src/cli/main.ts";
import { CollectiveError } from "../../src/errors.ts";
import type { Host } from "../../src/host/host.ts";
import { serveHost } from "../../src/host/serve-host.ts";
import { networkIdFor } from "../../src/site/network-id.ts";
import { findSite } from "../../src/site/site.ts";
import { noise } from "../disk/fixtures.ts";
import { createMemoryHost, type MemoryHost } from "../manager/memory-host.ts";
import { eventually } from "../host/fixtures/traces.ts";

const CUI = path.resolve("dist/cui.js");
const MIB = 1024 * 1024;
const CONTENT = noise(1, MIB);

interface Shell {
  readonly folder: string;
  readonly site: string;
  readonly hosts: readonly MemoryHost[];
  /** The host behind the first socket; a test puts another in its place. */
  readonly first: { host: Host };
  readonly env: Record<string, string>;
  /** `answers`: what is typed, question by question; nobody is there without them. */
  readonly cui: (line: string, answers?: readonly string[]) => Promise<Said>;
  readonly network: (file: string) => Promise<string>;
}

interface Said {
  readonly status: number;
  readonly out: string;
  readonly err: string;
  readonly questions: readonly string[];
}

async function openShell(t: Test): Promise<Shell> {
  const folder = mkdtempSync(path.join(tmpdir(), "cui-data-"));
  const hosts = [createMemoryHost({ name: "h1" }), createMemoryHost({ name: "h2" })] as const;
  const first: Shell["first"] = { host: hosts[0] };
  const servers = await Promise.all([
    listen(() => first.host, path.join(folder, "h1.sock")),
    listen(() => hosts[1], path.join(folder, "h2.sock")),
  ]);
  t.teardown(() => {
    for (const server of servers) server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const site = path.join(folder, "site");
  mkdirSync(site);
  const entry = (name: string): string => `  - { name: ${name}, address: "unix:${folder}/${name}.sock" }\n`;
  const utility = `format: 1\nsite: 0123456789ab\nhosts:\n${entry("h1")}${entry("h2")}`;
  writeFileSync(path.join(site, "utility.yaml"), utility);
  const env = { CUI_STATE: path.join(folder, "state.git") };
  return {
    ...{ folder, site, hosts, first, env },
    cui: async (line, answers) => {
      const out: string[] = [];
      const err: string[] = [];
      const questions: string[] = [];
      const left = [...(answers ?? [])];
      const ask = (question: string): Promise<string> => {
        questions.push(question);
        return Promise.resolve(left.shift() ?? "");
      };
      const status = await runCli(line.split(" "), {
        ...{ cwd: site, env, isTerminal: false },
        ...(answers === undefined ? {} : { ask }),
        print: (text) => void out.push(text),
        warn: (text) => void err.push(text),
      });
      return { status, out: out.join("\n"), err: err.join("\n"), questions };
    },
    network: async (file) => networkIdFor((await findSite(site)).inventory, file, undefined),
  };
}

function listen(host: () => Host, socketPath: string): Promise<Server> {
  const server = createServer((socket) => {
    serveHost(host(), { input: socket, output: socket });
  });
  return new Promise((resolve) =>
    server.listen(socketPath, () => {
      resolve(server);
    }),
  );
}

/** A data disk of `w` in a network, with content; with `isRemoved` it is in the attic. */
async function makeData(
  host: MemoryHost,
  networkId: string,
  { isRemoved = false }: { isRemoved?: boolean } = {},
): Promise<void> {
  const fence = { networkId, token: 1, site: "0123456789ab", command: "remove old.cvl" };
  const machine = { networkId, component: "w" };
  await host.prepareDataDisks(fence, machine, [{ device: "vdb", sizeBytes: 16 * MIB }]);
  host.contents.set("w:vdb", CONTENT);
  if (isRemoved) await host.moveToAttic(fence, machine);
}

test("the attic is listed over all hosts, also of networks nobody remembers", async (t) => {
  const shell = await openShell(t);
  t.equal((await shell.cui("attic list")).out, "the attic is empty");
  await makeData(shell.hosts[0]!, "old-0a1b2c", { isRemoved: true });
  await makeData(shell.hosts[1]!, await shell.network("acme.cvl"), { isRemoved: true });
  const all = (await shell.cui("attic list")).out.split("\n");
  t.match(all[0], /^id +network +component +device +host +size +on disk +since \(UTC\) +put there by$/);
  const row =
    /^[0-9a-f]{12} +old-0a1b2c \(gone\) +w +vdb +h1 +16 MiB +0 B +\d{4}-\d\d-\d\d \d\d:\d\d +cui remove old\.cvl$/;
  t.match(
    all.find((line) => line.includes("old-0a1b2c")),
    row,
  );
  t.equal(all.length, 3);
  for (const name of ["acme.cvl", await shell.network("acme.cvl")]) {
    const one = (await shell.cui(`attic list ${name}`)).out.split("\n");
    t.match(one, { length: 2, 1: /acme-[0-9a-f]{6} \(gone\)/ }, name);
  }
  shell.first.host = { ...shell.hosts[0]!, listAttic: () => Promise.reject(new Error("stuck")) };
  const partly = await shell.cui("attic list");
  t.match([partly.status, partly.err], [0, /warning: host h1: .*what lies in its attic is unknown/]);
  const json = JSON.parse((await shell.cui("attic list --json")).out) as object;
  t.match(json, {
    entries: [{ host: "h2", file: null }],
    unreachable: [{ host: "h1", code: "HOST_FAILED" }],
  });
});

test("a mistyped name is refused; a removed network is found by its file's name", async (t) => {
  const shell = await openShell(t);
  await makeData(shell.hosts[0]!, "old-0a1b2c", { isRemoved: true });
  for (const name of ["nope.cvl", "nope", "utility.yaml", "."])
    for (const verb of ["attic list", "data list", "attic purge --yes --network", "attic list --json"])
      t.match(
        await shell.cui(`${verb} ${name}`),
        { status: 1, err: /UTILITY_NETWORK_UNKNOWN/ },
        `${verb} ${name}`,
      );
  for (const name of ["old.cvl", "old-0a1b2c"]) {
    t.match((await shell.cui(`attic list ${name}`)).out, /old-0a1b2c \(gone\)/, name);
    t.match(await shell.cui(`data list ${name}`), { status: 0, out: "there is no data disk" }, name);
  }
  writeFileSync(path.join(shell.site, "new.cvl"), "");
  t.match(await shell.cui("attic list new.cvl"), { status: 0, out: "the attic is empty" });
  t.match(await shell.cui("data list new.cvl"), { status: 0, out: "there is no data disk" });

  const current = await shell.network("old.cvl");
  await makeData(shell.hosts[1]!, current, { isRemoved: true });
  const both = await shell.cui("attic purge --network old.cvl --yes");
  t.match([both.status, both.err], [1, /UTILITY_ATTIC_UNKNOWN: old\.cvl stands for several networks: /]);
  t.equal((await shell.cui(`attic purge --network ${current} --yes`)).out, "purged 1 entry, 0 B");
  t.equal((await shell.cui("attic purge --network old.cvl --yes")).out, "purged 1 entry, 0 B");

  const utility = path.join(shell.site, "utility.yaml");
  const text = readFileSync(utility, "utf8");
  writeFileSync(utility, `${text}networks:\n  - { id: office, file: gone.cvl }\n`);
  t.match(await shell.cui("attic list gone.cvl"), { status: 0, out: "the attic is empty" });
});

test("where nobody answers nothing is said to be empty", async (t) => {
  const shell = await openShell(t);
  const stuck = (): Promise<never> => Promise.reject(new Error("stuck"));
  shell.first.host = { ...shell.hosts[0]!, listAttic: stuck, listData: stuck };
  const some: [string, RegExp][] = [
    ["attic list", /^nothing is in the attics of the hosts that answer$/],
    ["attic purge --older-than 1d --yes", /^nothing was purged on the hosts that answer$/],
    ["data list", /^the hosts that answer have no data disk$/],
  ];
  for (const [line, out] of some) {
    const said = await shell.cui(line);
    t.match([said.status, said.out, said.err], [0, out, /warning: host h1: .*stuck/], line);
  }
  t.match(await shell.cui("attic purge --host h1 --yes"), { status: 1, err: /UTILITY_HOST_UNREACHABLE/ });

  const utility = path.join(shell.site, "utility.yaml");
  writeFileSync(utility, readFileSync(utility, "utf8").replace(/.*name: h2.*\n/, ""));
  for (const line of [...some.map(([each]) => each), "attic purge 0123456789ab", "attic list --json"]) {
    const said = await shell.cui(line);
    t.match(
      [said.status, said.err],
      [1, /UTILITY_HOST_UNREACHABLE: no host can be used: host h1: .*stuck/],
      line,
    );
  }
});

test("a purge asks twice, and takes nothing without both answers", async (t) => {
  const shell = await openShell(t);
  const [h1] = shell.hosts;
  await makeData(h1!, "old-0a1b2c", { isRemoved: true });
  await makeData(h1!, "other-0a1b2c", { isRemoved: true });
  const [entry] = await h1!.listAttic();
  const left = async (): Promise<number> => (await h1!.listAttic()).length;
  const line = `attic purge ${entry!.id}`;
  const unasked = await shell.cui(line);
  const names = /delete for good vdb of w of old-0a1b2c on h1 \(16 MiB, /;
  t.match([unasked.status, unasked.err], [1, /UTILITY_NOT_CONFIRMED[^]*--yes/]);
  t.match(unasked.err, names);
  const inJson = JSON.parse((await shell.cui(`${line} --json`)).out) as object;
  t.match(inJson, { error: { code: "UTILITY_NOT_CONFIRMED", message: names } });
  for (const answers of [["no"], ["yes"], ["yes", "yes"], ["yes", ""], ["purge"]]) {
    const said = await shell.cui(line, answers);
    t.match([said.status, said.err], [1, /UTILITY_NOT_CONFIRMED: nothing was changed/], answers.join());
  }
  t.equal(await left(), 2);
  const done = await shell.cui(line, ["yes", "purge"]);
  t.match([done.status, done.out, done.err], [0, "purged 1 entry, 0 B", names]);
  t.match(done.questions, [/Do it\?/, /Nothing brings it back\. Type purge/]);
  t.equal(await left(), 1);
  t.match(await shell.cui(line), { status: 1, err: /UTILITY_ATTIC_UNKNOWN/ });

  for (const kept of [
    "--older-than 1h",
    "--network other-0a1b2c --host h2",
    "--host h2",
    "--older-than 2020-01-01",
  ])
    t.match(await shell.cui(`attic purge ${kept} --yes`), { status: 0, out: "nothing was purged" }, kept);
  const json = await shell.cui("attic purge --network other-0a1b2c --older-than 0h --host h1 --yes --json");
  t.match(JSON.parse(json.out), { purged: [{ networkId: "other-0a1b2c" }], gone: [], unreachable: [] });
  t.equal(await left(), 0);
});

test("a folder without a site's id has no data of its own: what says whose it is stays", async (t) => {
  const shell = await openShell(t);
  await makeData(shell.hosts[0]!, "old-0a1b2c", { isRemoved: true });
  await makeData(shell.hosts[0]!, "live-0a1b2c");
  const [entry] = await shell.hosts[0]!.listAttic();
  const utility = path.join(shell.site, "utility.yaml");
  writeFileSync(utility, readFileSync(utility, "utf8").replace(/^site: .*\n/m, ""));
  t.match((await shell.cui("attic list")).out, /cui remove old\.cvl \(another site's\)$/m);
  for (const line of [
    `attic purge ${entry!.id} --yes`,
    `attic restore ${entry!.id} --file copy.raw`,
    "data export live-0a1b2c w vdb copy.raw",
  ]) {
    const said = await shell.cui(line);
    t.match([said.status, said.err], [1, /HOST_OTHER_SITE: .* belongs to (the site )?0123456789ab/]);
  }
  for (const chosen of ["--older-than 0h", "--network old-0a1b2c", "--host h1"])
    t.match(await shell.cui(`attic purge ${chosen} --yes`), { status: 0, out: "nothing was purged" }, chosen);
  t.equal((await shell.hosts[0]!.listAttic()).length, 1);
  t.same(readdirSync(shell.site), ["utility.yaml"]);
});

test("data is listed and leaves as a file; nothing takes the place of what is there", async (t) => {
  const shell = await openShell(t);
  const id = await shell.network("acme.cvl");
  t.equal((await shell.cui("data list")).out, "there is no data disk");
  await makeData(shell.hosts[0]!, id);
  const row =
    /acme-[0-9a-f]{6} +w +vdb +h1 +16 MiB +0 B +1 GiB of 1 TiB +0 +left behind, not in use +\/networks/;
  t.match((await shell.cui("data list acme.cvl")).out, row);
  t.match(JSON.parse((await shell.cui("data list --json")).out), {
    disks: [{ networkId: id, state: "left" }],
  });

  const exported = await shell.cui(`data export acme.cvl w vdb out.raw --format raw`);
  t.equal(exported.status, 0, exported.err);
  t.match(
    exported.out,
    /^out\.raw: vdb of w on h1 as of .* UTC, 16 MiB, 1 MiB of it data; read back and compared, digest/,
  );
  const file = path.join(shell.site, "out.raw");
  t.same(readFileSync(file).subarray(0, MIB), CONTENT);
  t.ok(statSync(file).blocks * 512 < 2 * MIB);
  const twice = await shell.cui("data export acme.cvl w vdb out.raw --format raw");
  t.match([twice.status, twice.err], [1, /DISK_TARGET_EXISTS[^]*--force/]);
  const forced = await shell.cui("data export acme.cvl w vdb out.raw --force --json");
  t.match(JSON.parse(forced.out), { file, format: "qcow2", host: "h1", dataBytes: MIB, isRunning: false });
  t.match(await shell.cui("data export acme.cvl w vdb /dev/null --force"), {
    status: 1,
    err: /FILE_NOT_REGULAR/,
  });

  const fence = { networkId: id, token: 1 };
  await shell.hosts[0]!.moveToAttic(fence, { networkId: id, component: "w" });
  const [entry] = await shell.hosts[0]!.listAttic();
  const restored = await shell.cui(`attic restore ${entry!.id.slice(0, 5)} --file attic.qcow2`);
  t.match([restored.status, restored.out], [0, /^attic\.qcow2: entry /], restored.err);
  t.equal((await shell.hosts[0]!.listAttic()).length, 1, "the entry stays");
});

test("bad words are usage, missing things one clear error", async (t) => {
  const shell = await openShell(t);
  const cases: [string, number, RegExp][] = [
    ["attic purge", 2, /expected ids of entries, or --network/],
    ["attic purge 0123456789ab --older-than 1d", 2, /not both/],
    ["attic purge --older-than soon", 2, /an age or a date/],
    ["attic purge --older-than 2026-02-31", 2, /an age or a date/],
    ["attic purge --older-than -5d", 2, /an age or a date/],
    ["attic purge --host h9", 1, /UTILITY_HOST_UNKNOWN/],
    ["attic restore", 2, /missing required argument/],
    ["attic restore 0123456789ab", 2, /expected a root file and a component, or --file/],
    ["attic restore 0123456789ab acme.cvl w --file x", 2, /not both/],
    ["attic restore 0123456789ab acme.cvl w --force", 2, /--force goes with --file/],
    ["attic restore 0123456789ab acme.cvl w", 1, /UTILITY_NETWORK_UNKNOWN/],
    ["attic restore 0123456789ab --file x", 1, /UTILITY_ATTIC_UNKNOWN/],
    ["data export acme.cvl w vdb", 2, /missing required argument/],
    ["data export acme.cvl w VDB! x", 2, /expected a device such as vdb/],
    ["data export acme.cvl w vdb x --format vmdk", 2, /Allowed choices are qcow2, raw/],
    ["data export acme.cvl w vdb x", 1, /UTILITY_DATA_DISK_UNKNOWN: the data disk vdb of w is on no host/],
  ];
  for (const [line, status, message] of cases) {
    const said = await shell.cui(line);
    t.equal(said.status, status, `cui ${line}: ${said.err}`);
    t.match(said.err, message, `cui ${line}`);
  }
  for (const verb of [
    "attic",
    "attic list",
    "attic restore",
    "attic purge",
    "data",
    "data list",
    "data export",
  ]) {
    const { status, out } = await shell.cui(`${verb} --help`);
    t.match([status, out], [0, /Examples?:\n {2}cui/], verb);
  }
  t.same(readdirSync(shell.site), ["utility.yaml"]);
});

test("a full disk and an interruption leave nothing of the file, and the export is closed", async (t) => {
  const shell = await openShell(t);
  await makeData(shell.hosts[0]!, await shell.network("acme.cvl"));
  const small = path.join(shell.folder, "small");
  mkdirSync(small);
  const script = `mount -t tmpfs -o size=512k small "$1" && "$2" "$3" data export acme.cvl w vdb "$1/out"; s=$?; ls -A "$1"; exit $s`;
  const options = { cwd: shell.site, env: { ...process.env, ...shell.env } };
  const words = ["sh", "-c", script, "sh", small, process.execPath, CUI];
  const full = spawn("unshare", ["--mount", ...words], options);
  const said = await saidBy(full);
  if (/unshare|mount:/.test(said.err)) t.comment("no file system can be mounted here");
  else t.match(said, { status: 1, out: "", err: /DISK_WRITE_FAILED[^]*make room/ });

  const closed: string[] = [];
  let isRead = false;
  shell.first.host = {
    ...shell.hosts[0]!,
    readExport: () => {
      isRead = true;
      return new Promise(() => undefined);
    },
    closeExport: (exportId) => {
      closed.push(exportId);
      return Promise.resolve();
    },
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    isRead = false;
    closed.length = 0;
    const child = spawn(process.execPath, [CUI, "data", "export", "acme.cvl", "w", "vdb", "out"], options);
    const ended = saidBy(child);
    t.ok(await eventually(() => Promise.resolve(isRead)));
    child.kill(signal);
    t.match(await ended, { status: 1, err: /JOB_CANCELLED: the copy was interrupted/ }, signal);
    t.ok(await eventually(() => Promise.resolve(closed.length > 0)));
    t.same(readdirSync(shell.site), ["utility.yaml"]);
  }
  t.notOk(existsSync(path.join(shell.site, "out")));
});

async function saidBy(
  child: ReturnType<typeof spawn>,
): Promise<{ status: number | null; out: string; err: string }> {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on("data", (piece: Buffer) => void out.push(piece));
  child.stderr?.on("data", (piece: Buffer) => void err.push(piece));
  const [status] = (await once(child, "close")) as [number | null];
  return { status, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() };
}

test("a host that cannot be verified is unreachable, not damaged", async (t) => {
  const shell = await openShell(t);
  const damaged = { file: "/images/a.raw", state: "damaged", problem: "cut" } as const;
  t.match(await shell.cui("host verify"), { status: 0 });
  const gone = path.join(shell.site, "utility.yaml");
  const whole = readFileSync(gone, "utf8");
  writeFileSync(gone, whole.replace("h2.sock", "nobody.sock"));
  t.match(await shell.cui("host verify"), {
    status: 1,
    err: /UTILITY_HOST_UNREACHABLE: not verified: h2: [^]*hint: nothing is known to be damaged/,
  });
  shell.first.host = { ...shell.hosts[0]!, verifyImages: () => Promise.resolve([damaged]) };
  t.match(await shell.cui("host verify"), {
    status: 1,
    err: /HOST_IMAGE_DAMAGED: damaged still: h1: \/images\/a\.raw; not verified: h2: /,
  });
  const refusal = new CollectiveError("HOST_LIBVIRT_DOWN", "libvirt is down");
  shell.first.host = { ...shell.hosts[0]!, verifyImages: () => Promise.reject(refusal) };
  t.match(await shell.cui("host verify h1"), { status: 1, err: /HOST_LIBVIRT_DOWN: not verified: h1: / });
});

test("a host that hangs is waited for as long as for any look, where somebody only looks", async (t) => {
  const shell = await openShell(t);
  await makeData(shell.hosts[1]!, "old-0a1b2c", { isRemoved: true });
  const never = (): Promise<never> => new Promise(() => undefined);
  shell.first.host = { ...shell.hosts[0]!, listAttic: never, listData: never };
  const late = /warning: host h1: it has not answered within 3 s; /;
  t.match(await shell.cui("attic list"), { status: 0, out: /old-0a1b2c/, err: late });
  t.match(await shell.cui("data list"), { status: 0, err: late });

  const silent = createServer(() => undefined); // a host manager that is stopped: it is connected to, and says nothing
  const socket = path.join(shell.folder, "silent.sock");
  await new Promise<void>((resolve) => silent.listen(socket, resolve));
  t.teardown(() => silent.close());
  const utility = path.join(shell.site, "utility.yaml");
  writeFileSync(utility, readFileSync(utility, "utf8").replace("h1.sock", "silent.sock"));
  for (const verb of ["attic list", "data list", "vlan list", "address list"])
    t.match(await shell.cui(verb), { status: 0, err: late }, verb);
  const { unreachable } = JSON.parse((await shell.cui("attic list --json")).out) as { unreachable: object };
  t.match(unreachable, [{ host: "h1", code: "HOST_UNREACHABLE" }]);
});
