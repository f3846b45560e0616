import { mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { test } from "tap";
import { parse } from "yaml";
import { formatLock } from "../../src/appliance/lock.ts";
import { lineAndColumn } from "../../src/diagnostics.ts";
import { takeFileLock } from "../../src/file-lock.ts";
import {
  addAddresses,
  addHost,
  addSiteId,
  addNetwork,
  addVlans,
  removeHost,
  setExternal,
} from "../../src/site/edit-inventory.ts";
import { parseInventory } from "../../src/site/read-inventory.ts";
import { isHostAddressText, parseMemory } from "../../src/site/inventory.ts";
import { findNetwork, networkIdFor, registerNetwork, siteRelative } from "../../src/site/network-id.ts";
import { blacklistFacts, findBlacklisted } from "../../src/site/policy.ts";
import { editSite, findSite } from "../../src/site/site.ts";
import { sampleImage, sampleMachine, sampleNetwork } from "../manager/describe-fixtures.ts";

const FULL = `# our machines
format: 1
hosts:
  # the old one
  - { name: h1, address: "unix:/run/collective/host.sock", memory: 16GiB, maxMachines: 20, arch: x86_64 }
  - name: h2
    address: ssh://root@h2.example.org:2222
vlans: [100-102, 300, 101] # from the switch
external: { vlan: untagged, subnet: 198.51.100.0/24, gateway: 198.51.100.1 }
addresses:
  - 198.51.100.10-198.51.100.20
  - 198.51.100.64/28
networks:
  - { id: office-1, file: acme.cvl, object: AcmeOffice }
blacklist:
  - { url: https://example.org/DNS, versions: 1-3, reason: CVE }
imports:
  allow: [https://example.org/]
`;

test("an inventory is read whole", (t) => {
  const { inventory, diagnostics } = parseInventory(FULL, "utility.yaml");
  t.same(diagnostics, []);
  t.same(inventory?.hosts, [
    {
      name: "h1",
      address: "unix:/run/collective/host.sock",
      memoryBytes: 16 * 1024 ** 3,
      maxMachines: 20,
      arch: "x86_64",
    },
    {
      name: "h2",
      address: "ssh://root@h2.example.org:2222",
      memoryBytes: undefined,
      maxMachines: 64,
      arch: undefined,
    },
  ]);
  t.same(inventory?.vlans, [100, 101, 102, 300]);
  t.same(inventory?.external, { tag: null, subnet: "198.51.100.0/24", gateway: "198.51.100.1" });
  t.equal(inventory?.addresses.length, 2);
  t.same(inventory?.allow, ["https://example.org/"]);
  t.same(inventory?.blacklist[0]?.versions, [{ first: 1, last: 3 }]);
  t.same(parseInventory("format: 1\n", "utility.yaml").inventory?.hosts, []);
  t.end();
});

test("every mistake is reported, at its place", (t) => {
  const text = `format: 1
hosts:
  - { name: H1, address: "tcp:1", memory: lots }
  - { name: h2, address: "unix:/a" }
  - { name: h2, address: "ssh://-oProxyCommand=x" }
vlans: [0, 5000, 7-3]
external: { vlan: 5, subnet: 198.51.100.1/24, gateway: 203.0.113.1 }
addresses: [198.51.100.300]
networks: [{ id: "UP", file: ../x.cvl }]
color: red
`;
  const { inventory, diagnostics } = parseInventory(text, "utility.yaml");
  t.equal(inventory, undefined);
  const places = diagnostics.map(
    (diagnostic) => `${diagnostic.code} ${lineAndColumn(text, diagnostic.span!.start).line}`,
  );
  t.same(new Set(places), new Set([1, 3, 5, 6, 7, 8, 9].map((line) => `INVENTORY_INVALID ${line}`)));
  t.equal(diagnostics.filter((diagnostic) => diagnostic.message.includes("hosts[0]")).length, 3);
  t.match(diagnostics.map((diagnostic) => diagnostic.message).join("\n"), /color/);
  t.end();
});

test("a newer format, broken YAML, bombs and duplicates are refused", (t) => {
  const codeOf = (text: string): string =>
    parseInventory(text, "utility.yaml").diagnostics[0]?.code ?? "none";
  t.equal(codeOf("format: 2\n"), "INVENTORY_INVALID");
  t.match(parseInventory("format: 2\n", "u").diagnostics[0]?.message, /expected format 1/);
  t.equal(codeOf("format: [\n"), "INVENTORY_SYNTAX");
  for (const empty of ["", "# nothing yet\n", "---\n"])
    t.match(parseInventory(empty, "u").diagnostics, [
      { code: "INVENTORY_SYNTAX", message: /empty.*format: 1/ },
    ]);
  t.equal(codeOf("3"), "INVENTORY_INVALID");
  t.equal(codeOf("format: 1\nvlans: [1\n"), "INVENTORY_SYNTAX");
  t.equal(codeOf("format: 1\nformat: 1\n"), "INVENTORY_SYNTAX");
  const bomb = [
    "format: 1",
    "a: &a [x,x,x,x,x,x,x,x,x,x]",
    "b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]",
    "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]",
    "d: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]",
  ];
  t.equal(codeOf(bomb.join("\n")), "INVENTORY_SYNTAX");
  t.equal(codeOf(`format: 1\n# ${"x".repeat(5_000_000)}`), "INVENTORY_SYNTAX");
  t.equal(
    codeOf("format: 1\nhosts: [{name: a, address: 'unix:/x'}, {name: a, address: 'unix:/y'}]\n"),
    "INVENTORY_INVALID",
  );
  t.end();
});

test("a security setting that nothing enforces is refused, whatever its value", (t) => {
  const settings = [
    ...["trust: []", "trust: { signers: [k] }", "trust: [k]", "trust: yes"],
    ...["secrets: {}", "secrets: { unattended: true }", "secrets: { unattended: false }"],
  ];
  for (const setting of settings) {
    const { inventory, diagnostics } = parseInventory(`format: 1\n# ours\n${setting}\n`, "utility.yaml");
    t.equal(inventory, undefined, setting);
    t.match(diagnostics, [{ code: "INVENTORY_UNSUPPORTED", hint: /take the key out/ }], setting);
    t.equal(diagnostics[0]?.span?.start, setting.indexOf(":") + "format: 1\n# ours\n".length + 2, setting);
  }
  const both = parseInventory("format: 1\ntrust: [k]\ncolor: red\n", "utility.yaml").diagnostics;
  t.same(new Set(both.map(({ code }) => code)), new Set(["INVENTORY_UNSUPPORTED", "INVENTORY_INVALID"]));
  t.same(
    parseInventory("format: 1\ntrust:\nsecrets:\n", "utility.yaml").diagnostics,
    [],
    "no value asks nothing",
  );
  t.end();
});

test("memory sizes and host addresses", (t) => {
  t.equal(parseMemory("16GiB"), 16 * 1024 ** 3);
  t.equal(parseMemory("1.5 GiB"), 1.5 * 1024 ** 3);
  t.equal(parseMemory("512"), 512 * 1024 ** 2);
  for (const text of ["", "0", "-1", "1e9", "many", "1PiB"]) t.equal(parseMemory(text), undefined, text);
  for (const good of ["unix:/a/b.sock", "ssh://h1", "ssh://root@h1.example.org:22", "ssh://[2001:db8::1]:22"])
    t.ok(isHostAddressText(good), good);
  for (const bad of [
    `unix:/${"x".repeat(107)}`,
    "h1",
    "unix:a",
    "ssh://-oProxyCommand=x",
    "ssh://-l@h",
    "ssh://a b",
    "ssh://h/x",
  ])
    t.notOk(isHostAddressText(bad), bad);
  t.end();
});

test("edits keep comments and order", (t) => {
  const steps: ((text: string) => string)[] = [
    (text) => addHost(text, { name: "h3", address: "unix:/h3", memory: "2GiB", maxMachines: 8 }),
    (text) => removeHost(text, "h2") ?? "",
    (text) => addVlans(text, "400-410"),
    (text) => addVlans(text, "500"),
    (text) => addAddresses(text, "198.51.100.30"),
    (text) => setExternal(text, { vlan: 7, subnet: "198.51.100.0/24", gateway: "198.51.100.1" }),
    (text) => addNetwork(text, { id: "shop-2", file: "shop.cvl" }),
  ];
  const text = steps.reduce((before, step) => step(before), FULL);
  t.match(text, /# our machines\nformat: 1\nhosts:\n {2}# the old one\n {2}- \{ name: h1/);
  t.match(text, /# from the switch/);
  const { inventory, diagnostics } = parseInventory(text, "utility.yaml");
  t.same(diagnostics, []);
  t.same(
    inventory?.hosts.map((host) => host.name),
    ["h1", "h3"],
  );
  t.equal(inventory?.vlans.length, 4 + 11 + 1);
  t.equal(inventory?.external?.tag, 7);
  t.same(
    inventory?.networks.map((network) => network.id),
    ["office-1", "shop-2"],
  );
  t.equal(removeHost(FULL, "h9"), undefined);
  t.same(parseInventory(addHost("", { name: "a", address: "unix:/a" }), "u").inventory?.hosts.length, 1);
  t.same(parseInventory(addVlans("format: 1\nvlans: []\n", "5"), "u").inventory?.vlans, [5]);
  const replaced = addHost(FULL, { name: "h1", address: "unix:/new" });
  t.same(parseInventory(replaced, "u").inventory?.hosts[0]?.address, "unix:/new");
  t.end();
});

test("an edit leaves every other character as it is", (t) => {
  const crlf = (text: string): string => text.replaceAll("\n", "\r\n");
  const head =
    "format: 1\n# ours\nhosts:   # none\n- {name: h1, address: 'unix:/a'}  # first\n\nvlans: [5,6] # two\n";
  for (const [name, text] of [
    ["LF", head],
    ["CRLF", crlf(head)],
    ["a byte order mark", `\ufeff${head}`],
    ["both", `\ufeff${crlf(head)}`],
    ["no newline at the end", head.trimEnd()],
  ] as const) {
    const newline = text.includes("\r") ? "\r\n" : "\n";
    t.equal(addVlans(text, "7"), text.replace("[5,6]", "[5,6, 7]"), `${name}: a tag`);
    const host = addHost(text, { name: "h2", address: "unix:/b" });
    t.equal(
      host,
      text.replace("# first", `# first${newline}- { name: h2, address: unix:/b }`),
      `${name}: a host`,
    );
    const id = addSiteId(text, "0123456789ab");
    t.equal(
      id,
      text.replace("format: 1", `format: 1${newline}site: "0123456789ab"`),
      `${name}: the site's id`,
    );
    const removed = removeHost(addHost(host, { name: "h3", address: "unix:/c" }), "h3") ?? "";
    t.equal(removed.includes("\r"), text.includes("\r"), `${name}: line ends of what is written anew`);
    t.equal(removed.startsWith("\ufeff"), text.startsWith("\ufeff"), `${name}: its byte order mark`);
    t.equal(removed.endsWith("\n"), text.endsWith("\n"), `${name}: its end`);
  }
  for (const text of [
    "format: 1\nvlans: &a [5]\n",
    "{format: 1, vlans: [5]}",
    "format: 1\nvlans:\n",
    "format: 1",
  ])
    t.match(parseInventory(addVlans(text, "7"), "u").inventory?.vlans.includes(7), true, text);
  t.end();
});

test("what is written is the same for a reader of YAML 1.1", (t) => {
  let text = addHost("format: 1\n", { name: "on", address: "local", memory: "1GiB" });
  text = addNetwork(text, { id: "12e3", file: "y", object: "No" });
  const inventory = parse(text, { version: "1.1" }) as {
    readonly hosts: readonly unknown[];
    readonly networks: readonly unknown[];
  };
  t.match(inventory.hosts[0], { name: "on" });
  t.match(inventory.networks[0], { id: "12e3", file: "y", object: "No" });
  const lock = formatLock({
    format: 1,
    imports: [{ url: "off", pin: "*", version: 3, commit: "1".repeat(40), tree: "1_0" }],
  });
  t.match(parse(lock, { version: "1.1" }), {
    imports: [{ url: "off", commit: "1".repeat(40), tree: "1_0" }],
  });
  t.end();
});

test("the site is found from the working folder upwards", async (t) => {
  const folder = t.testdir({ "utility.yaml": FULL, deep: { er: {} } });
  t.equal((await findSite(`${folder}/deep/er`)).folder, folder);
  await t.rejects(findSite("/proc"), { code: "UTILITY_NO_SITE" });
  await writeFile(`${folder}/deep/utility.yaml`, "format: 7\n");
  await t.rejects(findSite(`${folder}/deep/er`), {
    code: "UTILITY_INVENTORY_INVALID",
    message: /utility.yaml:1:9: error INVENTORY_INVALID/,
  });
});

test("two edits at once both arrive; one that would make the file invalid changes nothing", async (t) => {
  const folder = t.testdir({ "utility.yaml": "format: 1\n" });
  await Promise.all(
    ["a", "b", "c"].map((name) => editSite(folder, (text) => addHost(text, { name, address: "unix:/x" }))),
  );
  t.same((await findSite(folder)).inventory.hosts.map((host) => host.name).sort(), ["a", "b", "c"]);
  const before = await readFile(`${folder}/utility.yaml`, "utf8");
  await t.rejects(
    editSite(folder, (text) => addVlans(text, "9999")),
    { code: "UTILITY_INVENTORY_INVALID" },
  );
  t.equal(await readFile(`${folder}/utility.yaml`, "utf8"), before);
});

test("a strange file in the place of the lock is not touched, and an owner that stands still is named", async (t) => {
  const folder = t.testdir({ "utility.yaml": "format: 1\n", precious: "precious" });
  const lock = `${folder}/.utility.yaml.lock`;
  const add = (): Promise<unknown> => editSite(folder, (text) => addVlans(text, "7"), { waitMs: 0 });
  await symlink("precious", lock);
  await t.rejects(add(), { code: "FILE_LOCK_UNUSABLE", message: /symbolic link/ });
  t.equal(await readFile(`${folder}/precious`, "utf8"), "precious");
  await rm(lock);
  await editSite(folder, (text) => addVlans(text, "5"));
  t.same((await readdir(folder)).sort(), ["precious", "utility.yaml"], "the lock is gone with the edit");
  const held = await takeFileLock({ file: lock, purpose: "a long thought", isRemoved: true });
  await t.rejects(add(), {
    code: "FILE_LOCK_HELD",
    message: new RegExp(`^process ${process.pid} \\(a long thought, since`),
  });
  held.release();
  await add();
  t.same((await findSite(folder)).inventory.vlans, [5, 7]);
});

test("a network keeps its id when its file is renamed in the inventory", async (t) => {
  const folder = t.testdir({ "utility.yaml": "format: 1 # ours\n", inner: {} });
  const site = await findSite(folder);
  const id = networkIdFor(site.inventory, "acme.cvl", undefined);
  t.match(id, /^acme-[0-9a-f]{6}$/);
  t.equal(id, networkIdFor(site.inventory, "acme.cvl", undefined));
  t.not(id, networkIdFor(site.inventory, "b/acme.cvl", undefined));
  await registerNetwork(site, { id, file: "acme.cvl" });
  await registerNetwork(site, { id, file: "acme.cvl" });
  const text = await readFile(`${folder}/utility.yaml`, "utf8");
  await writeFile(`${folder}/utility.yaml`, text.replace("acme.cvl", "renamed.cvl"));
  const { inventory } = await findSite(folder);
  t.equal(inventory.networks.length, 1);
  t.equal(networkIdFor(inventory, "renamed.cvl", undefined), id);
  t.equal(findNetwork(inventory, "renamed.cvl", "Acme")?.id, id);
  t.equal(findNetwork(inventory, "acme.cvl", undefined), undefined);
  t.equal(siteRelative(site, `${folder}/inner`, "../x.cvl"), "x.cvl");
  t.throws(() => siteRelative(site, "/", "tmp/x.cvl"), { code: "UTILITY_NO_SITE" });
  await mkdir(`${folder}/y`);
});

test("blacklisted versions are found wherever they are used", (t) => {
  const network = sampleNetwork([
    sampleMachine("d", { image: sampleImage({ version: 2, name: "DNS" }) }),
    sampleMachine("w"),
  ]);
  const found = (url: string, versions?: { first: number; last: number }[]) =>
    findBlacklisted(network, [{ url, versions, reason: "CVE" }]).map((entry) => entry.component);
  t.same(found("/repos/DNS", [{ first: 1, last: 3 }]), ["d"]);
  t.same(found("/repos/DNS.git/"), ["d"]);
  t.same(found("/repos/*"), ["d", "w"]);
  t.same(found("/repos/DNS", [{ first: 3, last: 9 }]), []);
  t.same(found("/repos/DN"), []);
  t.match(
    blacklistFacts(network, [{ url: "/repos/DNS", versions: undefined, reason: "CVE" }]).get("d"),
    /DNS v2 .*CVE/,
  );
  t.end();
});
