import { test } from "tap";
import { parameterLines } from "../../../src/manager/change/parameter-lines.ts";
import {
  formatAddress,
  netmaskOf,
  parseAddress,
  parseAddressRange,
  parseSubnet,
  prefixOfNetmask,
} from "../../../src/network/ipv4.ts";
import {
  machineFile,
  machineText,
  readNetwork,
  type MachineRecord,
} from "../../../src/manager/records/state.ts";
import { machinesOn, usedPublicAddresses, usedTags } from "../../../src/manager/records/usage.ts";
import { sampleMachine } from "../describe-fixtures.ts";
import { createManager } from "../manager-fixture.ts";
import { createMemoryStore } from "../memory-store.ts";

const snapshotOf = (files: Record<string, string>) => ({
  revision: "1",
  files: new Map(Object.entries(files)),
});

test("a state of another format, or a damaged one, is refused", (t) => {
  const file = "networks/office/network.json";
  t.equal(readNetwork(snapshotOf({}), "office"), undefined);
  t.throws(() => readNetwork(snapshotOf({ [file]: '{"format":2}' }), "office"), {
    code: "UTILITY_STATE_FORMAT",
    message: /format 2; this cui understands 1/,
  });
  t.throws(() => readNetwork(snapshotOf({ [file]: "{" }), "office"), { code: "UTILITY_STATE_FORMAT" });
  t.throws(() => readNetwork(snapshotOf({ [file]: '{"format":1,"id":"office"}' }), "office"), {
    code: "UTILITY_STATE_FORMAT",
    message: /network\.json of the state has another shape than expected: site/,
  });
  t.end();
});

test("records of machines are read as they were written, those of the first releases without a format too", (t) => {
  const network = {
    ...{ format: 1, id: "office", site: "/site", file: "office.cvl", appliance: "Office", isNetwork: true },
    ...{ allocation: { segments: {}, interfaces: {} }, segments: {}, networks: {} },
  };
  const current = { plan: "p", description: sampleMachine("w"), sensitive: {} };
  const machine: MachineRecord = { component: "w", host: "h1", phase: "running", current, next: null };
  const read = (text: string) =>
    readNetwork(
      snapshotOf({
        "networks/office/network.json": JSON.stringify(network),
        [machineFile("office", "w")]: text,
      }),
      "office",
    )?.machines.get("w");
  t.match(read(machineText(machine)), machine);
  t.match(read(JSON.stringify(machine)), machine);
  const damage: readonly (readonly [string, RegExp])[] = [
    [JSON.stringify({ ...machine, format: 2 }), /w\.json of the state has format 2/],
    [JSON.stringify({ ...machine, phase: "dancing" }), /w\.json .*: phase/],
    [
      JSON.stringify({ ...machine, current: { ...current, description: {} } }),
      /w\.json .*: current\.description/,
    ],
    ["null", /w\.json .* another shape/],
  ];
  for (const [text, message] of damage)
    t.throws(() => read(text), { code: "UTILITY_STATE_FORMAT", message }, message.source);
  t.end();
});

test("parameter lines hold every element, and nothing without a value is sent", (t) => {
  const tree = { appliance: "Office", components: new Map() };
  const machine = sampleMachine("w", {
    parameters: { title: ["50 %", "two\nlines"], empty: [], "ethernet0.ip": ["10.0.0.2"] },
  });
  t.same(parameterLines(machine, tree), ["title=50 %25", "title=two%0Alines", "ethernet0.ip=10.0.0.2"]);
  const unknown = sampleMachine("w", {
    parameters: { title: [{ kind: "unknown", waitsFor: ["d.ethernet0.ip"] }] },
  });
  t.throws(() => parameterLines(unknown, tree), { code: "UTILITY_PARAMETER_UNKNOWN", message: /w\.title/ });
  t.end();
});

test("IPv4 addresses are strict", (t) => {
  t.equal(formatAddress(parseAddress("203.0.113.254")!), "203.0.113.254");
  for (const bad of ["1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "1.2.3.4 ", "a.b.c.d", ""])
    t.equal(parseAddress(bad), undefined, bad);
  for (const bad of ["10.0.0.1/24", "10.0.0.0/33", "10.0.0.0", "10.0.0.0/08", "10.0.0.0/24/1"])
    t.equal(parseSubnet(bad), undefined, bad);
  for (const bad of ["10.0.0.2-10.0.0.1", "1-2", "10.0.0.1-10.0.0.2-10.0.0.3"])
    t.equal(parseAddressRange(bad), undefined, bad);
  for (let prefix = 0; prefix <= 32; prefix++) t.equal(prefixOfNetmask(netmaskOf(prefix)), prefix);
  t.equal(prefixOfNetmask("255.0.255.0"), undefined);
  t.end();
});

const ROOT_MACHINE = `CVL = "0.8";
import { url => "/repos/DNS", cvl => "DNS.cvl" } DNS;
Public extends DNS { domain = "acme.org"; }
`;

test("a root that is one machine lies on the external segment with a public address", async (t) => {
  const manager = await createManager(t.testdirName, [{ name: "h1" }], { store: createMemoryStore() });
  const office = { root: ROOT_MACHINE };
  await manager.start(office);
  t.same(manager.hosts["h1"]?.running(), ["@1"]);
  const lines = manager.hosts["h1"]?.linesOf("") ?? [];
  for (const line of [
    "ethernet0.ip=198.51.100.10",
    "ethernet0.netmask=255.255.255.0",
    "ethernet0.defaultroute=198.51.100.1",
    "domain=acme.org",
  ]) {
    t.ok(lines.includes(line), line);
  }
  const machines = (await manager.hosts["h1"]!.inventory()).machines;
  t.same(
    machines[0]?.interfaces.map(({ port }) => port),
    [{ tag: 1000 }],
  );
  t.ok((await manager.files())[machineFile("office", "")]);
  manager.calls();
  await manager.update({ ...office, versions: { Public: 2 } });
  t.same(manager.calls(), ["stop ", "start @2"]);
  t.equal((await manager.status())[""]?.addresses["ethernet0"], "198.51.100.10");
  const snapshot = await manager.store.read();
  t.same(usedPublicAddresses(snapshot), [
    { address: "198.51.100.10", network: "office", component: "ethernet0" },
  ]);
  t.same(machinesOn(snapshot, "h1"), ["office (root)"]);
  t.equal(usedTags(snapshot).size, 0);
  await manager.stop();
  t.same(manager.hosts["h1"]?.running(), []);
});

test("an untagged external segment is a port without a tag", async (t) => {
  const manager = await createManager(t.testdirName, [{ name: "h1" }], { store: createMemoryStore() });
  manager.inventory = {
    ...manager.inventory,
    external: { tag: null, subnet: "198.51.100.0/24", gateway: "198.51.100.1" },
  };
  await manager.start({ root: ROOT_MACHINE });
  const machines = (await manager.hosts["h1"]!.inventory()).machines;
  t.same(
    machines[0]?.interfaces.map(({ port }) => port),
    [{ tag: null }],
  );
});
