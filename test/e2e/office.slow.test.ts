/** The whole way on real parts: git, git-lfs, libvirt, Open vSwitch, QEMU. Sub-tests build on each other. */
import { randomBytes } from "node:crypto";
import { globSync, statSync } from "node:fs";
import { readFile, rm, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import t from "tap";
import { ask, machineStatus } from "./ask.ts";
import { refusesWithout, type Refusal } from "./refusal.ts";
import { watchPackets } from "./packets.ts";
import { createOffice, openLab, publishOffice, writeSite, type Office } from "./office.ts";
import { missingForEndToEnd } from "./requirements.ts";
import { runProgram } from "./programs.ts";

const missing = missingForEndToEnd();

const WITHOUT_HOSTS =
  "format: 1\nvlans: [100-199]\nexternal: { vlan: untagged, subnet: 203.0.113.0/24, gateway: 203.0.113.1 }\n";
const POOL = "addresses: [203.0.113.10-203.0.113.99]\n";

const REFUSALS: readonly Refusal[] = [
  {
    name: "a repository that is not there",
    code: "IMPORT_UNREACHABLE",
    cvl: (text) => text.replace('/Office"', '/Nowhere"'),
  },
  {
    name: "a version that does not exist",
    code: "IMPORT_VERSION_MISSING",
    cvl: (text) => text.replace("cvl =>", 'version => "9",\n  cvl =>'),
  },
  {
    name: "a required parameter without a value",
    code: /MISSING|UNSET|REQUIRED/,
    cvl: (text) => text.replace(/ {2}domain = .*\n/, ""),
  },
  {
    name: "a mistake in CVL",
    code: "CVL_UNKNOWN_PARAMETER",
    cvl: (text) => text.replace("domain =", "domian ="),
  },
  {
    name: "an unreachable host",
    code: "HOST_UNREACHABLE",
    inventory: () =>
      `${WITHOUT_HOSTS}${POOL}hosts: [{ name: far, address: "unix:/nonexistent/host.sock", memory: 4GiB }]\n`,
  },
  {
    name: "no host at all",
    code: "UTILITY_NO_CAPACITY",
    inventory: () => `${WITHOUT_HOSTS}${POOL}hosts: []\n`,
  },
  {
    name: "hosts without room",
    code: "UTILITY_NO_CAPACITY",
    inventory: (text) => text.replaceAll(/memory: *[^,}\n]+/g, "memory: 130MiB"),
  },
  {
    name: "no VLAN left",
    code: "UTILITY_VLANS_EXHAUSTED",
    inventory: (text) => text.replace(/^vlans:.*(\n +- .*)*/m, "vlans: []"),
  },
  {
    name: "no public address left",
    code: "UTILITY_ADDRESSES_EXHAUSTED",
    inventory: (text) => text.replace(/^addresses:.*(\n +- .*)*/m, "addresses: []"),
  },
];

await t.test("a network of real machines", { skip: missing ?? false, timeout: 4_800_000 }, async (t) => {
  const office = await createOffice();
  t.teardown(() => office.close());
  await publishOffice(office);
  await writeSite(office, { domain: "acme.example", motd: "Welcome" });
  await openLab(office);
  const outsideWorld = watchPackets();
  t.teardown(() => outsideWorld.stop());

  await t.test("what cannot be started is refused before anything is changed", async (t) => {
    let known: unknown;
    for (const refusal of REFUSALS) known = await refusesWithout(t, office, refusal, known);
  });

  await t.test("start brings it up over both hosts, and the services answer by name", async (t) => {
    const report = JSON.parse(await office.cui("start", "AcmeOffice.cvl", "--json")) as { ownMs: number };
    t.comment(`the manager's own share: ${Math.round(report.ownMs)} ms`);
    const machines = await machineStatus(office);
    t.same([...machines.keys()].sort(), ["dns", "firewall", "web"]);
    t.equal(new Set([...machines.values()].map(({ host }) => host)).size, 2, "both hosts are used");
    const { web, address } = await askOffice(office);
    t.equal(
      address,
      machines.get("firewall")?.addresses["ethernet1"],
      "the name is the gateway's public address",
    );
    t.match(web, { version: "1", starts: 1 });
    t.match(web.text, "Welcome");
  });

  await t.test("starting what runs changes nothing", async (t) => {
    const before = await askOffice(office);
    await office.cui("start", "AcmeOffice.cvl");
    const after = await askOffice(office);
    t.equal(after.web.starts, before.web.starts);
    t.ok(after.web.uptime > before.web.uptime);
  });

  await t.test("a changed parameter is resent without a restart", async (t) => {
    const before = await askOffice(office);
    await writeSite(office, { domain: "acme.example", motd: "Closed on Monday" });
    const plan = await office.cui("plan", "AcmeOffice.cvl", "--json");
    const { class: found } = JSON.parse(plan) as { class: string };
    t.equal(found, "parameters");
    await office.cui("update", "AcmeOffice.cvl");
    const after = await askOffice(office);
    t.match(after.web.text, "Closed on Monday");
    t.equal(after.web.starts, before.web.starts);
    t.ok(after.web.uptime > before.web.uptime);
  });

  await t.test("a sensitive value reaches the guest and nothing else", async (t) => {
    const secret = randomBytes(12).toString("hex");
    await writeSite(office, { domain: "acme.example", sensitive: "motd" });
    const without = await office.tryCui(["update", "AcmeOffice.cvl"]);
    t.equal(without.code, 1);
    t.match(without.stderr, "CUI_SECRET_AcmeOffice__motd", "the error names the variable");
    const env = { CUI_SECRET_AcmeOffice__motd: secret };
    const updated = await office.tryCui(["update", "AcmeOffice.cvl"], { env });
    t.equal(updated.code, 0, updated.stderr);
    t.match((await askOffice(office)).web.text, secret);
    const status = await office.tryCui(["status", "--json"], { env });
    const plan = await office.tryCui(["plan", "AcmeOffice.cvl", "--json"], { env });
    for (const { stdout, stderr } of [updated, status, plan]) t.notMatch(stdout + stderr, secret);
    t.equal(await filesWith(office, secret), "", "no file of state, hosts or caches holds it");
    await writeSite(office, { domain: "acme.example", motd: "Welcome" });
    await office.cui("update", "AcmeOffice.cvl");
  });

  await t.test("a truncated pack is noticed before anything is stopped", async (t) => {
    const before = await askOffice(office);
    await writeFile(office.at("Web/VERSION"), "2\n");
    await office.build("Web");
    await office.publish("Web");
    const intact = await truncateNewestPack(office.at("repositories/Web"));
    await office.cui("lock", "AcmeOffice.cvl");
    const refused = await office.tryCui(["update", "AcmeOffice.cvl"]);
    t.equal(refused.code, 1);
    t.match(refused.stderr, /error [A-Z_]+: .*(pack|object)/);
    const after = await askOffice(office);
    t.equal(after.web.starts, before.web.starts);
    t.ok(after.web.uptime > before.web.uptime, "the web machine went on");
    await intact.restore();
  });

  await t.test("an update restarts only what changed, and the data disk stays", async (t) => {
    const before = await askOffice(office);
    await office.cui("update", "AcmeOffice.cvl");
    const after = await askOffice(office);
    t.equal(after.web.version, "2");
    t.equal(after.web.starts, before.web.starts + 1);
    t.ok(after.uptimes.firewall > before.uptimes.firewall);
    t.ok(after.uptimes.dns > before.uptimes.dns);
    t.match(await office.cui("plan", "AcmeOffice.cvl"), /nothing to do|no change/i);
  });

  await t.test("an update whose manager is killed is finished by the next one", async (t) => {
    const before = await askOffice(office);
    await writeFile(office.at("Web/VERSION"), "3\n");
    await office.build("Web");
    await office.publish("Web");
    // The web machine was stopped: its overlay is gone, or there is another one already.
    const [overlay = ""] = globSync(office.at("lab/*/collective/networks/*/machines/web/overlay-*.qcow2"));
    const inode = (): number | undefined => statSync(overlay, { throwIfNoEntry: false })?.ino;
    const running = inode();
    const killed = await runProgram(
      process.execPath,
      [office.cuiProgram, "update", "AcmeOffice.cvl", "--latest"],
      {
        cwd: office.at("AcmeOffice"),
        env: office.environment,
        killedWhen: () => inode() !== running,
      },
    );
    t.not(killed.code, 0, "it was killed on the way");
    await office.cui("update", "AcmeOffice.cvl", "--latest");
    const states = [...(await machineStatus(office)).values()].map(({ state }) => state);
    t.same(states, ["ready", "ready", "ready"], "what the killed one had begun was waited for");
    const after = await askOffice(office);
    t.equal(after.web.version, "3");
    t.ok(after.web.starts > before.web.starts);
    t.ok(after.uptimes.firewall > before.uptimes.firewall);
  });

  await t.test("one component is stopped and started by itself", async (t) => {
    const before = await askOffice(office);
    await office.cui("stop", "AcmeOffice.cvl", "web");
    t.equal((await machineStatus(office)).get("web")?.state, "stopped");
    t.equal((await machineStatus(office)).get("dns")?.state, "ready");
    await office.cui("start", "AcmeOffice.cvl", "web");
    const after = await askOffice(office);
    t.equal(after.web.starts, before.web.starts + 1);
    t.ok(after.uptimes.dns > before.uptimes.dns);
  });

  await t.test("the console answers", async (t) => {
    const session = await runProgram(
      "timeout",
      [
        "600",
        "script",
        "-qec",
        `'${process.execPath}' '${office.cuiProgram}' console AcmeOffice.cvl web`,
        "/dev/null",
      ],
      {
        cwd: office.at("AcmeOffice"),
        env: office.environment,
        typed: [
          { text: "\r", until: /# /, again: true },
          { text: "cat /etc/collective/version\r", until: /\n3\r+\n/ },
          { text: "\u001d" },
        ],
      },
    );
    t.match(session.stdout, /\n3\r+\n/);
  });

  await t.test("a host without its bridge is refused before anything is changed", async (t) => {
    await office.cui("stop", "AcmeOffice.cvl");
    const hosts = ["host1", "host2"];
    await Promise.all(hosts.map((host) => office.exec(host, "ovs-vsctl", "del-br", "br-int")));
    await refusesWithout(t, office, { name: "no Open vSwitch bridge", code: "HOST_BRIDGE_MISSING" });
  });

  t.same(outsideWorld.stop(), [], "no packet of the lab was seen on the machine's own interfaces");
});

async function askOffice(office: Office) {
  const gateway = (await machineStatus(office)).get("firewall")?.addresses["ethernet1"] ?? "";
  return ask(office, gateway, "www.acme.example");
}

/** Files below the test's folder that hold the text, packed git objects unpacked. */
async function filesWith(office: Office, text: string): Promise<string> {
  const plain = await runProgram("grep", ["-rlaF", "--", text, office.folder]);
  const objects = await runProgram("sh", [
    "-c",
    'git -C "$1" cat-file --batch-all-objects --batch </dev/null | grep -caF -- "$2" || true',
    "sh",
    office.at("state.git"),
    text,
  ]);
  return `${plain.stdout.trim()}${objects.stdout.trim() === "0" ? "" : " state.git"}`;
}

/** Cuts the newest LFS object of a bare repository to half. */
async function truncateNewestPack(repository: string): Promise<{ restore(): Promise<void> }> {
  const { stdout } = await runProgram("sh", [
    "-c",
    'find "$1" -type f -printf "%T@ %p\\n" | sort -n | tail -1 | cut -d" " -f2-',
    "sh",
    path.join(repository, "lfs/objects"),
  ]);
  const pack = stdout.trim();
  const content = await readFile(pack);
  await truncate(pack, Math.floor(content.length / 2));
  return {
    restore: async () => {
      await rm(pack);
      await writeFile(pack, content);
    },
  };
}
