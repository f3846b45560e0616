/** What a host would refuse is told where it is written; what is accepted here, a host accepts. */
import t from "tap";
import { MAX_COMPONENT_PATH, MAX_INTERFACE_NAME } from "../../src/appliance/machine-limits.ts";
import { parseVmDescription } from "../../src/appliance/vm-description.ts";
import { machineImageSchema } from "../../src/appliance/machine-image-schema.ts";
import { hostCallSchemas } from "../../src/host/schema.ts";
import { domainName, portName } from "../../src/host/names.ts";
import { machinePaths } from "../../src/host/machine-paths.ts";
import { checkNetwork } from "../../src/network/decide-network.ts";
import { makeImages, makeTree, type NetworkSpec } from "./fixtures.ts";

const long = (characters: number): string => "n".repeat(characters);
const many = (count: number): string[] => Array.from({ length: count }, (_, index) => `x${index}`);
const drive = (index: number): string =>
  `device=vd${String.fromCharCode(97 + (index % 26))}${index < 26 ? "" : Math.floor(index / 26)}&size=1`;

const WITHIN: Record<string, NetworkSpec> = {
  "a path": { "": {}, [long(MAX_COMPONENT_PATH)]: {} },
  "a path over networks": {
    "": {},
    [long(80)]: { kind: "network" },
    [`${long(80)}.${long(MAX_COMPONENT_PATH - 81)}`]: {},
  },
  "an interface's name": { "": {}, w: { interfaces: [long(MAX_INTERFACE_NAME)] } },
  interfaces: { "": {}, w: { interfaces: many(27) } },
  "an element": { "": {}, w: { parameters: { p: "x".repeat(65_534) } } },
  "an encoded element": { "": {}, w: { parameters: { p: "%".repeat(21_844) } } },
  elements: { "": {}, w: { parameters: { p: many(9_000) } } },
  "characters together": {
    "": {},
    w: { parameters: { p: Array.from({ length: 60 }, () => "x".repeat(65_000)) } },
  },
};

const BEYOND: readonly (readonly [spec: NetworkSpec, message: RegExp])[] = [
  [
    { "": {}, [long(161)]: {} },
    /the path n{60}… of a component has 161 characters, at most 160 are possible/,
  ],
  [{ "": {}, [long(300)]: { kind: "network" }, [`${long(300)}.w`]: {} }, /has 300 characters/],
  [{ "": {}, [long(100)]: { kind: "network" }, [`${long(100)}.${long(60)}`]: {} }, /has 161 characters/],
  [
    { "": {}, w: { interfaces: [long(65)] } },
    /the name n{60}… of an interface of w has 65 characters, at most 64/,
  ],
  [{ "": {}, w: { interfaces: many(28) } }, /w has 29 interfaces, a machine has at most 28/],
  [
    { "": {}, w: { parameters: { p: "x".repeat(65_535) } } },
    /an element of w\.p takes 65537 characters, at most 65536/,
  ],
  [{ "": {}, w: { parameters: { p: "%".repeat(21_846) } } }, /an element of w\.p takes/],
  [
    { "": {}, w: { parameters: { p: many(10_001) } } },
    /the parameters of w have 10007 elements together, at most 10000/,
  ],
  [
    { "": {}, w: { parameters: { p: Array.from({ length: 65 }, () => "x".repeat(65_000)) } } },
    /the parameters of w take 4225230 characters together/,
  ],
  [
    { "": {}, w: { parameters: { datadisks: Array.from({ length: 65 }, (_, index) => drive(index)) } } },
    /datadisks of w lists 65 disks, a machine has at most 64/,
  ],
];

for (const [spec, message] of BEYOND) {
  t.test(`refused: ${String(message)}`, (t) => {
    const errors = checkNetwork(makeTree(spec)).filter(({ severity }) => severity === "error");
    t.match(errors, [{ code: "NETWORK_LIMIT", message, span: { file: "Office.cvl" }, hint: /./ }]);
    t.equal(errors.length, 1);
    t.end();
  });
}

const FOLDERS = {
  directory: "/var/lib/collective",
  runDirectory: "/run/collective",
  secretsDirectory: "/run/collective/secrets",
};

t.test("what is within the limits, hosts take", (t) => {
  for (const [name, spec] of Object.entries(WITHIN)) {
    const tree = makeTree(spec);
    t.same(
      checkNetwork(tree).filter(({ code }) => code === "NETWORK_LIMIT"),
      [],
      name,
    );
    for (const machine of tree.components.values()) {
      if (machine.kind !== "machine") continue;
      const id = { networkId: "n".repeat(36), component: machine.path };
      const lines = [...machine.parameters].flatMap(([parameter, { elements }]) =>
        elements
          .filter((element) => typeof element === "string")
          .map((text) => `${parameter}=${text.replaceAll("%", "%25")}`),
      );
      const fence = { networkId: id.networkId, token: 1 };
      t.ok(hostCallSchemas.sendParameters.safeParse([fence, id, lines, 1]).success, `${name}: parameters`);
      const interfaces = machine.interfaces.map((nic) => ({
        name: nic,
        mac: "02:00:00:00:00:01",
        port: null,
      }));
      const image = makeImages(spec).get(machine.path);
      const call = [fence, { id, image, dataDisks: [], interfaces, parameterLines: [], plan: "p" }];
      t.ok(hostCallSchemas.startMachine.safeParse(call).success, `${name}: start`);
      t.ok(domainName(id).length <= 120, "libvirt's name");
      t.ok(portName(id, machine.interfaces.length - 1).length <= 15, "Open vSwitch's name");
      const paths = machinePaths(FOLDERS, id);
      for (const part of paths.overlay("ide0:1").split("/")) t.ok(part.length <= 255, "a folder's name");
      for (const socket of [paths.channel, paths.console]) t.ok(socket.length <= 107, "a socket's path");
    }
  }
  t.end();
});

t.test("what a VM description may say, hosts take", (t) => {
  const parse = (line: string) =>
    parseVmDescription(`format: 1\nmemory: 64\nkernel: k\n${line}\n`, "a.vm.yaml").description;
  const [image] = makeImages({ "": {}, w: {} }).values();
  const taken = (line: string): boolean =>
    machineImageSchema.safeParse({ ...image, description: parse(line) }).success;
  for (const line of [
    `cmdline: "${"x".repeat(2000)}"`,
    `arch: ${"a".repeat(20)}`,
    "cpus: 512",
    "cmdline: a=b ~",
  ])
    t.ok(taken(line), line.slice(0, 20));
  for (const line of [
    `cmdline: "${"x".repeat(2001)}"`,
    `arch: ${"a".repeat(21)}`,
    "cpus: 513",
    'cmdline: "ä"',
  ])
    t.equal(parse(line), undefined, line.slice(0, 20));
  t.end();
});
