/** The tiny appliances of the templates, built and booted: a gateway, a name server and a web server joined as a network. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { buildAppliance } from "../../scripts/build-appliance.ts";
import { GuestMachine } from "./guest-machine.ts";

const BUILT = ["vmlinuz", "initrd.img", "root.img"];
/** For an answer that a quiet machine gives in a second. */
const HANGS_MS = 120_000;
const NXDOMAIN = 3;
const REFUSED = 5;
const OUTSIDE = "10.0.2.15";
const folder = t.testdir({});
const appliance = (name: string): string => path.join(folder, name);
const socket = (name: string): string => path.join(folder, `${name}.sock`);

const startedAt = performance.now();
const builds = await Promise.all(
  ["firewall", "dns", "web", "appliance"].map((template) =>
    buildAppliance({ template, directory: appliance(template), name: `My${template}` }),
  ),
);
t.comment(`four builds at once: ${Math.round(performance.now() - startedAt)} ms`);
t.comment(builds.map(({ buildMs }) => Math.round(buildMs)).join(", "));

t.test("an unchanged rebuild gives the same bytes", async (t) => {
  const before = digests(appliance("web"));
  for (const file of BUILT) rmSync(path.join(appliance("web"), file));
  await sleep(1100);
  await buildAppliance({ template: "web", directory: appliance("web") });
  t.strictSame(digests(appliance("web")), before);
  t.not(digests(appliance("dns"))["root.img"], before["root.img"]);
  t.equal(digests(appliance("dns"))["initrd.img"], before["initrd.img"], "kernel and initrd are shared");
});

t.test("three tiny appliances work as a network", async (t) => {
  const dataDisk = path.join(folder, "data.qcow2");
  execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", dataDisk, "64M"]);

  const firewallSet = [
    "name=firewall",
    ...inside("ethernet0", "52:54:00:00:00:01", "10.0.100.1"),
    "ethernet1.mac=52:54:00:00:00:02",
    `ethernet1.ip=${OUTSIDE}`,
    "ethernet1.netmask=255.255.255.0",
    "ethernet1.defaultroute=10.0.2.2",
    "statusport=8080",
    service({ port: "53", ip: "10.0.100.2" }),
    service({ port: "80", ip: "10.0.100.3", proto: "tcp" }),
    service({ port: "8081", ip: "10.0.100.2", to: "8080", proto: "tcp" }),
  ];
  const dnsSet = [
    "name=dns",
    ...inside("ethernet0", "52:54:00:00:00:03", "10.0.100.2", "10.0.100.1"),
    "domain=acme.test",
    "port=53",
    "statusport=8080",
    element("dnshosts", map({ name: "www", ip: OUTSIDE })),
  ];
  const webSet = (motd: string): string[] => [
    "name=web",
    ...inside("ethernet0", "52:54:00:00:00:04", "10.0.100.3", "10.0.100.1"),
    "title=Acme",
    element("motd", motd),
    "port=80",
  ];
  const forward = (guest: number): string => `hostfwd=tcp:127.0.0.1:0-${OUTSIDE}:${guest}`;

  const firewall = await GuestMachine.boot(t, {
    folder: appliance("firewall"),
    parameters: firewallSet,
    // The outer card comes first: cards are found by their addresses, not by their order.
    cards: [
      {
        mac: "52:54:00:00:00:02",
        netdevs: [
          ["user,restrict=on", ...[80, 8080, 8081, 53].map(forward)].join(),
        ],
      },
      { mac: "52:54:00:00:00:01", netdevs: [listen("to-dns"), listen("to-web")] },
    ],
  });
  const ports = {
    http: await firewall.forwardedPort(80),
    firewallStatus: await firewall.forwardedPort(8080),
    dnsStatus: await firewall.forwardedPort(8081),
    dns: await firewall.forwardedPort(53),
  };
  const bootWeb = (sent: string[]): Promise<GuestMachine> =>
    GuestMachine.boot(t, {
      folder: appliance("web"),
      parameters: webSet("from fw_cfg"),
      sent,
      cards: [{ mac: "52:54:00:00:00:04", netdevs: [connect("to-web")] }],
      disks: [{ file: dataDisk, format: "qcow2" }],
    });
  const [dns, web] = await Promise.all([
    GuestMachine.boot(t, {
      folder: appliance("dns"),
      parameters: dnsSet,
      cards: [{ mac: "52:54:00:00:00:03", netdevs: [connect("to-dns")] }],
    }),
    bootWeb(webSet("from the channel")),
  ]);
  const times = await Promise.all([firewall.ready(), dns.ready(), web.ready()]);
  t.comment(`READY after ${times.map((ms) => Math.round(ms)).join(", ")} ms, three at once`);
  t.equal(firewall.lines[0], "HELLO=1");

  const page = (): Promise<string> => fetchText(ports.http);
  const status = async (port: number): Promise<string | undefined> => /^boot=(.+)$/m.exec(await fetchText(port))?.[1];

  await t.test("what the channel says is newer than fw_cfg", async (t) => {
    await web.waitFor(/^RELOADED=1$/);
    t.match(await page(), /<p>from the channel<\/p>/);
  });

  await t.test("names are served through the gateway, over UDP and TCP", async (t) => {
    t.strictSame(await askTcp(ports.dns, "www.acme.test"), { code: 0, addresses: [OUTSIDE] });
    t.strictSame(await askTcp(ports.dns, "nobody.acme.test"), { code: NXDOMAIN, addresses: [] });
    t.strictSame(await askTcp(ports.dns, "example.org"), { code: REFUSED, addresses: [] });
    // QEMU's user network lets no UDP answer out; this way goes through the gateway and back.
    t.match(await web.console(`nslookup www.acme.test ${OUTSIDE} | grep Address`), new RegExp(`Address: ${OUTSIDE}`));
    t.match(await fetchText(ports.dnsStatus), /^name=dns$/m);
  });

  await t.test("the page names its version and counts its starts", async (t) => {
    t.match(await page(), /id="version">1<[^]*id="starts">1</);
  });

  await t.test("a host inside reaches a service by the address outside", async (t) => {
    t.match(await web.console(`wget -q -O - http://${OUTSIDE}/`), /id="version">1</);
  });

  await t.test("only services and the status page are let in", async (t) => {
    const rules = await firewall.console("nft list ruleset");
    t.match(rules, /hook input priority filter; policy drop;/);
    t.match(rules, /hook forward priority filter; policy drop;/);
    t.match(rules, /udp dport 53 dnat to 10\.0\.100\.2:53/);
    t.notMatch(rules, /udp dport 80 /);
  });

  const boots = [await status(ports.firewallStatus), await status(ports.dnsStatus)];
  t.type(boots[0], "string");

  await t.test("changed parameters come into force without a restart", async (t) => {
    t.equal(await web.send(webSet("100% <new>\nline")), "RELOADED=1");
    t.match(await page(), /<p>100% &lt;new&gt;\nline<\/p>[^]*id="starts">1</);
    t.equal(await web.send([...webSet("moved"), "statusport=8080"]), "RELOADED=1");
    t.match(await web.console("wget -q -O - http://127.0.0.1:8080/"), /name=web/);
  });

  await t.test("a set that cannot be applied is refused, and what worked goes on", async (t) => {
    t.match(await firewall.send([...firewallSet, service({ port: "99999", ip: "10.0.100.3" })]), /^FAILED=/);
    const injected = service({ port: "80", ip: '10.0.100.3:80 comment "x" #' });
    t.match(await firewall.send([...firewallSet, injected]), /^FAILED=/, "a value is no piece of a rule");
    t.match(await page(), /<p>moved<\/p>/);
    t.equal(await firewall.send(firewallSet), "RELOADED=1");
    t.match(await dns.send([...dnsSet, element("dnshosts", map({ name: "a\nb", ip: "10.0.0.1" }))]), /^FAILED=/);
    t.equal(await dns.send([...dnsSet, element("dnshosts", map({ name: "x", ip: "10.0.0.1" }))]), "RELOADED=1");
    t.strictSame(await askTcp(ports.dns, "x.acme.test"), { code: 0, addresses: ["10.0.0.1"] });
    t.equal(await dns.send(dnsSet.map((line) => line.replace("domain=acme", "domain=other"))), "RELOADED=1");
    t.strictSame(await askTcp(ports.dns, "www.other.test"), { code: 0, addresses: [OUTSIDE] });
  });

  await t.test("a host that comes back is told how the guest is", async (t) => {
    dns.disconnect();
    await dns.console("while [ -e /run/collective/connected ]; do sleep 0.1; done");
    const from = dns.lines.length;
    await dns.connect();
    await dns.waitFor(/^RELOADED=1$/, { from });
    t.strictSame(dns.lines.slice(from, from + 2), ["HELLO=1", "READY=1"]);

    firewall.disconnect();
    await firewall.connect();
    await firewall.send(firewallSet);
    t.equal(firewall.lines.at(-2), "READY=1", "also when it was too quick for the guest to say HELLO=1");
  });

  await t.test("a new version on a grown data disk goes on counting; the others are not touched", async (t) => {
    const downMs = await web.powerDown();
    t.comment(`off after ${Math.round(downMs)} ms`);
    execFileSync("qemu-img", ["resize", "-q", dataDisk, "96M"]);
    await buildAppliance({ template: "web", directory: appliance("web"), version: 2 });
    const next = await bootWeb(webSet("second"));
    t.comment(`READY after ${Math.round(await next.ready())} ms`);
    t.match(await page(), /id="version">2<[^]*id="starts">2</);
    const size = Number(/(\d+) +\d+ +\d+ +\d+% \/data/.exec(await next.console("df -k /data"))?.[1]);
    t.ok(size > 80 * 1024, `the file system has ${size} KiB`);
    t.strictSame([await status(ports.firewallStatus), await status(ports.dnsStatus)], boots);

    await next.destroy();
    const afterCrash = await bootWeb(webSet("third"));
    await afterCrash.ready();
    t.match(await page(), /id="starts">3</, "also after the plug was pulled");
  });
});

t.test("the plain appliance starts its service", async (t) => {
  const parameters = ["greeting=Good morning"];
  const machine = await GuestMachine.boot(t, { folder: appliance("appliance"), parameters });
  t.comment(`READY after ${Math.round(await machine.ready())} ms, alone`);
  t.ok(machine.lines.includes("STATUS=Good morning from Myappliance"));
  await machine.send(["greeting=Good night"]);
  t.ok(machine.lines.includes("STATUS=Good night from Myappliance"));
});

t.test("a data disk that holds something else is left alone", async (t) => {
  const disk = path.join(folder, "foreign.img");
  execFileSync("truncate", ["-s", "16M", disk]);
  execFileSync("dd", [`of=${disk}`, "bs=1", "seek=9000000", "conv=notrunc", "status=none"], { input: "precious" });
  const before = sha256(disk);
  const machine = await GuestMachine.boot(t, { folder: appliance("web"), disks: [{ file: disk, format: "raw" }] });
  t.equal(await machine.waitFor(/^FAILED=/), "FAILED=the data disk vdb is neither empty nor ext4: it is left alone");
  await machine.powerDown();
  t.equal(sha256(disk), before);
});

function digests(directory: string): Record<string, string> {
  return Object.fromEntries(BUILT.map((file) => [file, sha256(path.join(directory, file))]));
}

function sha256(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

function inside(name: string, mac: string, ip: string, route?: string): string[] {
  const lines = [`${name}.mac=${mac}`, `${name}.ip=${ip}`, `${name}.netmask=255.255.255.0`, `${name}.subnet=10.0.100.0`];
  return route === undefined ? lines : [...lines, `${name}.defaultroute=${route}`];
}

/** A line as the host sends it. */
function element(name: string, value: string): string {
  return `${name}=${value.replace(/[%\u0000-\u001f\u007f]/g, percent)}`;
}

/** A map as CVL writes it. */
function map(entries: Readonly<Record<string, string>>): string {
  return Object.entries(entries)
    .map(([key, value]) => `${key}=${value.replace(/[^A-Za-z0-9]/g, percent)}`)
    .join("&");
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}

function service(entries: Readonly<Record<string, string>>): string {
  return element("services", map(entries));
}

function listen(name: string): string {
  return `stream,server=on,addr.type=unix,addr.path=${socket(name)}`;
}

function connect(name: string): string {
  return `stream,server=off,addr.type=unix,addr.path=${socket(name)}`;
}

/** One question for an A record over TCP: RFC 1035, a length before the message, names in the answer as pointers. */
async function askTcp(port: number, name: string): Promise<{ code: number; addresses: string[] }> {
  const labels = name.split(".").map((label) => Buffer.from([label.length, ...Buffer.from(label)]));
  const header = Buffer.from([0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  const question = Buffer.concat([header, ...labels, Buffer.from([0, 0, 1, 0, 1])]);
  const client = net.connect(port, "127.0.0.1").setTimeout(HANGS_MS, () => client.destroy(new Error("no answer")));
  client.write(Buffer.concat([Buffer.from([0, question.length]), question]));
  let answer = Buffer.alloc(0);
  for await (const part of client) {
    answer = Buffer.concat([answer, part as Buffer]);
    if (answer.length >= 2 && answer.length >= 2 + answer.readUInt16BE(0)) break;
  }
  const records = answer.subarray(2 + question.length);
  const addresses = Array.from({ length: answer.readUInt16BE(8) }, (_, index) =>
    [...records.subarray(index * 16 + 12, index * 16 + 16)].join("."),
  );
  return { code: answer.readUInt8(5) & 15, addresses };
}

async function fetchText(port: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(HANGS_MS), headers: { connection: "close" } });
  return response.text();
}
