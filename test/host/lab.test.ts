import { cacheFolder } from "../../src/cache-folder.ts";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import t, { type Test } from "tap";
import { runCli } from "../../src/cli/main.ts";
import { labDown } from "../../src/host/lab/lab-down.ts";
import { labExec } from "./fixtures/lab-exec.ts";
import { labStatus } from "../../src/host/lab/lab-state.ts";
import { labUp } from "../../src/host/lab/lab-up.ts";
import { childrenOf, isRunning } from "../../src/host/lab/process-table.ts";
import { eventually, LAB_FOLDERS, networkNamespaceOf, processesOf, readTraces } from "./fixtures/traces.ts";

const cui = [process.execPath, path.resolve("dist/cui.js")];

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

async function temporaryFolder(test: Test): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), LAB_FOLDERS));
  test.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

t.test("two hosts share VLANs over their trunk, and nothing with the machine", async (t) => {
  const before = await readTraces();
  const directory = path.join(await temporaryFolder(t), "lab");
  const lab = await labUp({ cache: cacheFolder(process.env), directory, hosts: 2, cui });
  t.teardown(() => labDown(directory).catch(() => undefined));
  const exec = (place: string, ...args: [string, ...string[]]): Promise<string> =>
    labExec({ directory, place }, { file: args[0], args: args.slice(1) });
  const plug = async (place: string, port: { name: string; tag: number; address: string }): Promise<void> => {
    const { name, tag, address } = port;
    const add = ["add-port", "br-int", name, `tag=${tag}`, "--", "set", "interface", name, "type=internal"];
    await exec(place, "ovs-vsctl", ...add);
    await exec(place, "ip", "address", "add", address, "dev", name);
    await exec(place, "ip", "link", "set", name, "up");
  };
  const pings = (place: string, address: string): Promise<boolean> =>
    exec(place, "busybox", "ping", "-c", "1", "-W", "1", address).then(
      () => true,
      () => false,
    );
  // Linux answers on any interface for all its addresses; here only the right one counts.
  await exec("host2", "busybox", "sysctl", "-w", "net.ipv4.conf.all.arp_ignore=1");
  await plug("host1", { name: "port-a", tag: 100, address: "10.0.100.1/24" });
  await plug("host2", { name: "port-a", tag: 100, address: "10.0.100.2/24" });
  await plug("host2", { name: "port-b", tag: 101, address: "10.0.100.3/24" });
  await plug("host1", { name: "port-e", tag: 0, address: "203.0.113.10/24" });

  const answers = (place: string, address: string): Promise<boolean> =>
    eventually(() => pings(place, address));
  t.ok(await answers("host1", "10.0.100.2"), "the same tag on the other host answers");
  t.notOk(await pings("host1", "10.0.100.3"), "another tag does not");
  t.ok(await answers("outside", "203.0.113.10"), "outside reaches the external segment");
  await exec("outside", "ip", "address", "add", "10.0.100.9/24", "dev", "external");
  t.notOk(await pings("outside", "10.0.100.1"), "outside does not reach a network's segment");

  for (const place of ["outside", "host1", "host2"]) {
    const routes = await exec(place, "ip", "route");
    t.notMatch(routes, /default/, `${place} has no way out`);
    t.notMatch(
      await exec(place, "ip", "-o", "link"),
      / eth0[:@]/,
      `${place} has no interface of the machine`,
    );
  }
  t.same(await readTraces(), before, "mounts, interfaces, addresses and routes of the machine are as before");
  const status = await labStatus(directory);
  t.equal(status.up, true);
  t.equal(status.hosts.length, 2);

  await t.rejects(labUp({ cache: cacheFolder(process.env), directory, hosts: 1, cui }), {
    code: "LAB_DIRECTORY_IN_USE",
  });
  await t.rejects(exec("host3", "true"), { code: "LAB_NOT_FOUND", hint: /outside, host1, host2/ });

  const namespaces = await Promise.all(
    [lab.init, ...lab.hosts.map(({ init }) => init)].map(({ pid }) => networkNamespaceOf(pid)),
  );
  await lab.down();
  t.same(await processesOf({ directory, namespaces }), [], "no process is left");
  t.notOk(existsSync(directory), "no file is left");
  await t.rejects(labDown(directory), { code: "LAB_NOT_FOUND" });
});

t.test("a lab ends with its owner, and when any one of its processes is killed", { jobs: 4 }, async (t) => {
  const victims = ["owner", "reaper", "unshare", "init"] as const;
  const before = await readTraces();
  await Promise.all(
    victims.map((victim) =>
      t.test(`${victim} killed`, { buffered: true }, async (t) => {
        const directory = path.join(await temporaryFolder(t), "lab");
        const owner = spawn(process.execPath, ["build/test/host/fixtures/lab-owner.js", directory, "1"], {
          stdio: ["ignore", "pipe", "inherit"],
        });
        t.teardown(() => owner.kill("SIGKILL"));
        await new Promise((resolve, reject) => {
          owner.stdout.once("data", resolve);
          owner.once("exit", () => {
            reject(new Error("the owner's lab did not come up"));
          });
        });
        const { reaper, init, hosts } = await labStatus(directory);
        const [unshare] = await childrenOf(reaper.pid);
        const namespaces = await Promise.all(
          [init, ...hosts.map((host) => host.init)].map(({ pid }) => networkNamespaceOf(pid)),
        );
        t.ok((await processesOf({ directory, namespaces })).length > 5, "the lab's processes are seen");

        const pid = { owner: owner.pid, reaper: reaper.pid, unshare: unshare?.pid, init: init.pid }[victim];
        process.kill(pid!, "SIGKILL");
        if (victim === "reaper") owner.kill("SIGKILL"); // the lab itself does not need it
        t.ok(
          await eventually(async () => (await processesOf({ directory, namespaces })).length === 0),
          "no process is left",
        );
        t.ok(await eventually(() => Promise.resolve(!existsSync(directory))), "no file is left");
      }),
    ),
  );
  t.same(await readTraces(), before, "mounts, interfaces, addresses and routes of the machine are as before");
});

t.test("a lab made by the command stays until it is ended, or ends with a process", async (t) => {
  const folder = await temporaryFolder(t);
  const stays = path.join(folder, "stays");
  const ends = path.join(folder, "ends");
  t.teardown(() => labDown(stays).catch(() => undefined));
  t.teardown(() => labDown(ends).catch(() => undefined));
  const owner = spawn("sleep", ["600"]);
  t.teardown(() => owner.kill());
  const cache = path.join(folder, "cache");
  const lab = (...args: string[]): Promise<unknown> => {
    const env = { ...process.env, XDG_CACHE_HOME: cache };
    const child = spawn(cui[0]!, [cui[1]!, "lab", ...args], { stdio: "ignore", env });
    return new Promise((resolve) => child.on("exit", resolve));
  };
  const capabilities = path.join(cache, "cui/libvirt", `${sha256("/usr/bin/qemu-system-x86_64")}.xml`);
  await mkdir(path.dirname(capabilities), { recursive: true });
  await writeFile(capabilities, "<qemuCaps>torn");
  const up = ["up", "--hosts", "1", "--json", "--dir"];
  t.same(await Promise.all([lab(...up, stays), lab(...up, ends, "--owner", String(owner.pid))]), [0, 0]);
  const known = await readFile(capabilities, "utf8");
  t.match(known, /^<qemuCaps>[^]*<\/qemuCaps>\n$/, "what libvirt cannot read is found out anew, and kept");
  const lent = path.join(stays, "host1/cache-libvirt/qemu/capabilities", path.basename(capabilities));
  t.equal(await readFile(lent, "utf8"), known);
  const { reaper } = await labStatus(ends);
  const group = await childrenOf(reaper.pid);
  t.equal((await labStatus(stays)).up, true);
  t.equal((await labStatus(ends)).up, true);
  t.equal(await lab("exec", "--dir", stays, "host1", "--", "sh", "-c", "exit 7"), 7, "the program's status");

  owner.kill("SIGKILL");
  t.ok(await eventually(() => Promise.resolve(!existsSync(ends))), "the end of the process is its end");
  const left = async (): Promise<number> => (await Promise.all(group.map(isRunning))).filter(Boolean).length;
  t.ok(await eventually(async () => (await left()) === 0), "nothing that watched is left");
  t.equal((await labStatus(stays)).up, true, "the other one is still up");
  t.equal(await lab("down", "--dir", stays), 0);
  t.notOk(existsSync(stays));
});

t.test("a lab with machines, data disks or an attic is not taken down unasked", async (t) => {
  const directory = path.join(await temporaryFolder(t), "lab");
  t.teardown(() => labDown(directory).catch(() => undefined));
  const down = async (options: { answer?: string; yes?: boolean } = {}) => {
    const said: string[] = [];
    const { answer, yes = false } = options;
    const status = await runCli(["lab", "down", "--dir", directory, ...(yes ? ["--yes"] : [])], {
      ...{ cwd: directory, env: process.env, isTerminal: false },
      ...(answer === undefined ? {} : { ask: () => Promise.resolve(answer) }),
      print: () => undefined,
      warn: (line) => void said.push(line),
    });
    return { status, said: said.join("\n") };
  };
  const up = (): Promise<unknown> =>
    labUp({ cache: cacheFolder(process.env), directory, hosts: 1, cui, lifetime: "until-down" });
  const put = async (file: string): Promise<void> => {
    const whole = path.join(directory, "host1/collective", file);
    await mkdir(path.dirname(whole), { recursive: true });
    await writeFile(whole, "not looked into");
  };
  const cases = [
    ["networks/office-3f2a1c/machines/d/data-vdb.qcow2", /host1: the data disk vdb of d of office-3f2a1c/],
    ["networks/tiny-3f2a1c/machines/_root/data-vdb.qcow2", /host1: the data disk vdb of tiny-3f2a1c/],
    [
      "networks/office-3f2a1c/machines/g.f/overlay-vda.qcow2",
      /machine cui\.office-3f2a1c\.g\.f, which is stopped/,
    ],
    [
      "attic/gone-3f2a1c/d/20260101T000000Z/data-ide0_1.qcow2",
      /host1: in the attic, the data disk ide0:1 of d/,
    ],
  ] as const;
  for (const [file, named] of cases) {
    await up();
    await put(file);
    const unasked = await down();
    t.match(unasked, { status: 1, said: /UTILITY_NOT_CONFIRMED[^]*--yes/ }, file);
    t.match(unasked.said, named);
    t.match(await down({ answer: "no" }), { status: 1, said: named });
    t.equal((await labStatus(directory)).up, true, "and nothing was done");
    t.ok(existsSync(path.join(directory, "host1/collective", file)));
    t.match(await down({ answer: "yes" }), { status: 0, said: named });
    t.notOk(existsSync(directory));
  }

  await up();
  const domain =
    "<domain type='qemu'><name>by-hand</name><memory unit='MiB'>16</memory><os><type arch='x86_64'>hvm</type></os></domain>";
  const xml = path.join(directory, "by-hand.xml");
  await writeFile(xml, domain);
  const args = ["-c", "qemu:///system", "create", xml];
  await labExec({ directory, place: "host1" }, { file: "virsh", args });
  t.match(await down(), { status: 1, said: /host1: the machine by-hand, which runs/ });
  t.equal((await labStatus(directory)).up, true);
  t.equal((await down({ yes: true })).status, 0, "a script says it");
  t.notOk(existsSync(directory));

  await up();
  await mkdir(path.join(directory, "host1/collective/networks/office-3f2a1c/machines"), { recursive: true });
  t.match(await down(), { status: 0, said: "" }, "one with nothing in it ends unasked");
});

t.test("what is left of a lab that is down makes room only when that was confirmed", async (t) => {
  const directory = path.join(await temporaryFolder(t), "lab");
  t.teardown(() => labDown(directory).catch(() => undefined));
  const options = { cache: cacheFolder(process.env), directory, hosts: 1, cui };
  const state = await labStatus((await labUp({ ...options, lifetime: "until-down" })).directory);
  const kept = await readFile(path.join(directory, "lab.json"), "utf8");
  await labDown(directory);
  // As after a restart of the machine: its files are there, none of its processes is.
  await mkdir(path.join(directory, "host1/collective/attic/a-3f2a1c/d/t"), { recursive: true });
  await writeFile(path.join(directory, "lab.json"), kept);
  const disk = path.join(directory, "host1/collective/attic/a-3f2a1c/d/t/data-vdb.qcow2");
  await writeFile(disk, "data");
  t.equal((await labStatus(state.directory)).up, false);
  const run = (...args: string[]): Promise<unknown> => {
    const child = spawn(cui[0]!, [cui[1]!, "lab", ...args, "--dir", directory], { stdio: "ignore" });
    return new Promise((resolve) => child.on("exit", resolve));
  };
  t.equal(await run("up", "--hosts", "1"), 1);
  t.equal(await readFile(disk, "utf8"), "data");
  t.equal(await run("up", "--hosts", "1", "--yes"), 0);
  t.notOk(existsSync(disk));
});

t.test("what cannot become a lab is refused before anything is made", async (t) => {
  const folder = await temporaryFolder(t);
  const before = await readTraces();
  const used = path.join(folder, "used");
  await mkdir(used);
  await writeFile(path.join(used, "letter.txt"), "dear diary");
  await t.rejects(labUp({ cache: cacheFolder(process.env), directory: used, hosts: 1, cui }), {
    code: "LAB_DIRECTORY_IN_USE",
    message: /letter\.txt/,
  });
  t.equal(await readFile(path.join(used, "letter.txt"), "utf8"), "dear diary");

  await writeFile(path.join(used, "lab.json"), JSON.stringify({ format: 99 }));
  await t.rejects(labUp({ cache: cacheFolder(process.env), directory: used, hosts: 1, cui }), {
    code: "LAB_STATE_INVALID",
  });
  await t.rejects(labDown(used), { code: "LAB_STATE_INVALID" });
  t.equal(
    await readFile(path.join(used, "letter.txt"), "utf8"),
    "dear diary",
    "a folder that is no lab is never removed",
  );

  const long = path.join(folder, "x".repeat(60));
  await t.rejects(labUp({ cache: cacheFolder(process.env), directory: long, hosts: 1, cui }), {
    code: "LAB_DIRECTORY_TOO_LONG",
  });

  const broken = path.join(folder, "broken");
  await t.rejects(labUp({ cache: cacheFolder(process.env), directory: broken, hosts: 1, cui: ["false"] }), {
    code: "LAB_FAILED",
    message: /host1/,
  });
  t.notOk(existsSync(broken), "a lab that does not come up leaves nothing");

  const getuid = process.getuid;
  process.getuid = () => 1000;
  t.teardown(() => Object.assign(process, { getuid }));
  await t.rejects(
    labUp({ cache: cacheFolder(process.env), directory: path.join(folder, "none"), hosts: 1, cui }),
    { code: "LAB_NEEDS_ROOT" },
  );
  t.notOk(existsSync(path.join(folder, "none")));
  t.same(await readTraces(), before);
});
