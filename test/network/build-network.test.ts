import t from "tap";
import fc from "fast-check";
import { renderDiagnostic, type DiagnosticCode } from "../../src/diagnostics.ts";
import { bootOrder, machinesBelow, stopOrder } from "../../src/network/boot-order.ts";
import { buildNetwork } from "../../src/network/build-network.ts";
import { checkNetwork } from "../../src/network/decide-network.ts";
import { EXTERNAL_SEGMENT, type MachineDescription } from "../../src/network/description.ts";
import { refuseNestedNetworks, requireComplete } from "../../src/network/missing.ts";
import {
  change,
  makeImages,
  makeNetwork,
  makeTree,
  map,
  OFFICE,
  unknown,
  type NetworkSpec,
} from "./fixtures.ts";

const NESTED: NetworkSpec = {
  ...OFFICE,
  g: {
    kind: "network",
    class: "Lab",
    parameters: {
      vanIF: "f.ethernet1",
      defaultroute: [unknown("g.f.ethernet0.ip")],
      requires: "DNS",
      provides: "lab",
    },
  },
  "g.f": { class: "Firewall", interfaces: ["ethernet1"] },
  "g.w": { class: "Web" },
};

t.test("the office: machines, segments, gateway, default routes", (t) => {
  const network = makeNetwork(OFFICE);
  const { f, d, w } = network.machines as Record<"f" | "d" | "w", MachineDescription>;
  t.same(Object.keys(network.segments), ["", EXTERNAL_SEGMENT]);
  t.equal(network.segments[""]?.gateway, "f.ethernet0");
  t.equal(network.networks[""]?.exports, "f.ethernet1");
  t.match(f.interfaces["ethernet0"], { segment: "", isGateway: true, defaultroute: [] });
  t.match(f.interfaces["ethernet1"], {
    segment: EXTERNAL_SEGMENT,
    isGateway: false,
    ip: [],
    defaultroute: [],
  });
  t.same(w.interfaces["ethernet0"]?.defaultroute, [unknown("f.ethernet0.ip")]);
  t.same(w.parameters["ethernet0.defaultroute"], [unknown("f.ethernet0.ip")]);
  t.same(f.parameters["ethernet0.defaultroute"], [], "the gateway's inner interface gets none");
  t.same(
    f.parameters["ethernet1.defaultroute"],
    [unknown("f.ethernet1.defaultroute")],
    "the utility assigns it",
  );
  t.same(d.dataDisks, [{ device: "vdb", sizeBytes: 100 * 1024 * 1024 }]);
  t.same(w.startsAfter, [{ service: "DNS", anyOf: ["d"] }]);
  t.same(bootOrder(network).rounds, [["f", "d"], ["w"]]);
  t.same(stopOrder(network), ["w", "d", "f"]);
  t.notOk("vm" in w.parameters || "requires" in w.parameters, "the utility's own parameters are not sent");
  t.same(w.parameters["password"], [{ kind: "sensitive", from: ["w.password"], waitsFor: ["w.password"] }]);
  t.equal(w.origins["greeting"]?.file, "Office.cvl");
  const text = makeTree(OFFICE).components.get("w")!.declared.file.text;
  t.match(text.split("\n")[w.origins["greeting"]!.line - 1], /^w\.greeting/);
  t.same(network.missing, []);
  t.end();
});

t.test(
  "a nested network: the exported interface lies on the parent's segment with the parent's default route",
  (t) => {
    const network = makeNetwork(NESTED);
    const inner = network.machines["g.f"]!;
    t.same(network.nestedNetworks, ["g"]);
    t.same(Object.keys(network.segments), ["", "g", EXTERNAL_SEGMENT]);
    t.match(inner.interfaces["ethernet1"], { segment: "", isGateway: false });
    t.same(inner.interfaces["ethernet1"]?.defaultroute, [unknown("f.ethernet0.ip")]);
    t.match(inner.interfaces["ethernet0"], { segment: "g", isGateway: true, defaultroute: [] });
    t.same(network.machines["g.w"]?.interfaces["ethernet0"]?.defaultroute, [unknown("g.f.ethernet0.ip")]);
    t.same(network.machines["g.w"]?.requires, ["DNS"], "the network's requirement applies to its machines");
    t.same(machinesBelow(network, "g"), ["g.f", "g.w"]);
    t.match(refuseNestedNetworks(network), [
      { code: "NETWORK_NESTED_UNSUPPORTED", message: /g is a network inside/ },
    ]);
    t.same(refuseNestedNetworks(makeNetwork(OFFICE)), []);
    t.end();
  },
);

t.test(
  "a network's provides hold when all its machines are ready; of several providers one suffices",
  (t) => {
    const waits = change(NESTED, { m: { parameters: { requires: "lab" } } });
    t.same(bootOrder(makeNetwork(waits)).rounds, [["f", "d"], ["w", "g.f", "g.w"], ["m"]]);
    const either = change(waits, { f: { parameters: { provides: "lab" } } });
    t.same(bootOrder(makeNetwork(either)).rounds, [
      ["f", "d"],
      ["w", "m", "g.f", "g.w"],
    ]);
    const late = change(either, {
      "g.w": { parameters: { requires: "mail" } },
      m: { parameters: { provides: "mail" } },
    });
    t.same(
      bootOrder(makeNetwork(late)).rounds,
      [["f", "d"], ["w", "m", "g.f"], ["g.w"]],
      "no cycle: f breaks it",
    );
    t.end();
  },
);

t.test("a root virtual machine lies on the external segment", (t) => {
  const network = makeNetwork({ "": { kind: "machine", class: "Web", image: {} } }, "Solo");
  t.equal(network.isNetwork, false);
  t.same(Object.keys(network.machines), [""]);
  t.equal(network.machines[""]?.interfaces["ethernet0"]?.segment, EXTERNAL_SEGMENT);
  t.same(network.networks, {});
  t.end();
});

t.test("a network without vanIF is isolated, which is allowed", (t) => {
  const { network, diagnostics } = build({ "": {}, a: {}, b: {} });
  t.same(diagnostics, []);
  t.same(network?.segments, { "": { id: "", gateway: null } });
  t.equal(network!.networks[""]?.exports, null);
  t.end();
});

t.test("a known default route finds its gateway by address", (t) => {
  const network = makeNetwork(
    change(OFFICE, {
      "": { parameters: { defaultroute: "10.0.7.1" } },
      f: { parameters: { "ethernet0.ip": "10.0.7.1" } },
    }),
  );
  t.equal(network.segments[""]?.gateway, "f.ethernet0");
  t.same(network.machines["w"]?.parameters["ethernet0.defaultroute"], ["10.0.7.1"]);
  t.same(network.machines["f"]?.interfaces["ethernet0"]?.ip, ["10.0.7.1"]);
  t.end();
});

t.test("names that every object has are ordinary component names", (t) => {
  const network = makeNetwork({
    "": {},
    constructor: { parameters: { provides: "toString" } },
    hasOwnProperty: { parameters: { requires: "toString" } },
  });
  t.same(bootOrder(network).rounds, [["constructor"], ["hasOwnProperty"]]);
  t.end();
});

t.test("a network component called external does not meet the external segment", (t) => {
  const network = makeNetwork({ ...OFFICE, external: { kind: "network" }, "external.a": {} });
  t.same(Object.keys(network.segments), ["", "external", EXTERNAL_SEGMENT]);
  t.end();
});

t.test("a clear sensitive value never gets into a description", (t) => {
  const secret = { kind: "sensitive", from: ["w.password"], waitsFor: [], value: "hunter2" } as const;
  const network = makeNetwork(
    change(OFFICE, { w: { parameters: { note: [secret], "ethernet0.defaultroute": [secret] } } }),
  );
  t.notMatch(JSON.stringify(network), "hunter2");
  t.same(network.machines["w"]?.parameters["note"], [
    { kind: "sensitive", from: ["w.password"], waitsFor: [] },
  ]);
  t.end();
});

t.test("a required parameter without a value is collected, and an error only when asked for", (t) => {
  const { network, diagnostics } = build(change(OFFICE, { w: { required: ["rootdn"] } }));
  t.same(diagnostics, []);
  t.match(network!.missing, [{ parameter: "w.rootdn", declared: { file: "Office.cvl" } }]);
  const [error] = requireComplete(network!);
  t.match(error, { code: "NETWORK_PARAMETER_MISSING", severity: "error", hint: /w\.rootdn = / });
  t.ok(error?.span, "it has a place");
  t.same(requireComplete(makeNetwork(OFFICE)), []);
  t.end();
});

const disks = (...devices: [string, string | undefined][]): NetworkSpec[string]["image"] => ({
  disks: devices.map(([device, source]) => ({ device, bus: "virtio" as const, source })),
});
const twoDisks = disks(["vda", "root.qcow2"], ["vdb", undefined]);
const datadisk = (...elements: string[]): NetworkSpec => ({
  "": {},
  w: { parameters: { datadisks: elements }, image: twoDisks! },
});

const MISTAKES: readonly [
  name: string,
  code: DiagnosticCode,
  spec: NetworkSpec,
  message: RegExp,
  line: RegExp,
][] = [
  ["no machines", "NETWORK_EMPTY", { "": {} }, /Office has no machines/, /Root Office/],
  ["an image that could not be read", "NETWORK_VM_UNRESOLVED", { "": {}, w: {} }, /vm of w/, /w\.vm/],
  [
    "an unprovided requirement",
    "NETWORK_REQUIREMENT_UNPROVIDED",
    change(OFFICE, { f: { parameters: { requires: "DHCP" } } }),
    /f requires "DHCP"/,
    /f\.requires/,
  ],
  [
    "an unprovided requirement of a network",
    "NETWORK_REQUIREMENT_UNPROVIDED",
    change(OFFICE, { "": { parameters: { requires: "DHCP" } } }),
    /Office requires "DHCP"/,
    /\.requires/,
  ],
  [
    "a cycle",
    "NETWORK_DEPENDENCY_CYCLE",
    change(OFFICE, { w: { parameters: { provides: "web" } }, d: { parameters: { requires: "web" } } }),
    /d requires "web" of w, w requires "DNS" of d/,
    /d\.requires/,
  ],
  [
    "a requirement on oneself",
    "NETWORK_DEPENDENCY_CYCLE",
    change(OFFICE, { d: { parameters: { requires: "DNS" } } }),
    /d requires "DNS" of d/,
    /d\.requires/,
  ],
  [
    "a network that waits for its own machine",
    "NETWORK_DEPENDENCY_CYCLE",
    change(OFFICE, { "": { parameters: { requires: "DNS" } } }),
    /d requires "DNS" of d/,
    /^\.requires/,
  ],
  [
    "vanIF of a network that names nothing",
    "NETWORK_VANIF_NO_INTERFACE",
    change(OFFICE, { "": { parameters: { vanIF: "f.ethernet2" } } }),
    /names "f.ethernet2"/,
    /\.vanIF/,
  ],
  [
    "vanIF of a network that names a machine",
    "NETWORK_VANIF_NO_INTERFACE",
    change(OFFICE, { "": { parameters: { vanIF: "f" } } }),
    /names "f"/,
    /\.vanIF/,
  ],
  [
    "vanIF of a machine that names nothing",
    "NETWORK_VANIF_NO_INTERFACE",
    change(OFFICE, { w: { parameters: { vanIF: "eth0" } } }),
    /vanIF of w names "eth0"/,
    /w\.vanIF/,
  ],
  [
    "vanIF with two names",
    "NETWORK_VANIF_LIST",
    change(OFFICE, { "": { parameters: { vanIF: ["f.ethernet1", "d.ethernet0"] } } }),
    /list of 2/,
    /\.vanIF/,
  ],
  [
    "an interface on two segments",
    "NETWORK_INTERFACE_ON_TWO_SEGMENTS",
    change(OFFICE, { "": { parameters: { vanIF: "f.ethernet0" } } }),
    /f\.ethernet0 would lie on two/,
    /vanIF/,
  ],
  [
    "two networks that export one interface",
    "NETWORK_INTERFACE_EXPORTED_TWICE",
    change(NESTED, { "": { parameters: { vanIF: "g.f.ethernet1" } } }),
    /Office and g/,
    /vanIF/,
  ],
  [
    "a default route off the segment",
    "NETWORK_DEFAULTROUTE_ELSEWHERE",
    change(OFFICE, { "": { parameters: { defaultroute: [unknown("f.ethernet1.ip")] } } }),
    /address of f\.ethernet1, which does not lie/,
    /defaultroute/,
  ],
  [
    "a default route that is no address",
    "NETWORK_DEFAULTROUTE_ELSEWHERE",
    change(OFFICE, { "": { parameters: { defaultroute: [unknown("f.ethernet0.mac")] } } }),
    /made from f\.ethernet0\.mac/,
    /defaultroute/,
  ],
  [
    "a default route that is the address of no interface",
    "NETWORK_DEFAULTROUTE_ELSEWHERE",
    change(OFFICE, { "": { parameters: { defaultroute: "10.0.9.9" } } }),
    /is 10\.0\.9\.9, which is the address of no interface on its segment/,
    /defaultroute/,
  ],
  [
    "a default route that is the address of an interface on another segment",
    "NETWORK_DEFAULTROUTE_ELSEWHERE",
    change(OFFICE, {
      "": { parameters: { defaultroute: "192.0.2.7" } },
      f: { parameters: { "ethernet1.ip": "192.0.2.7" } },
    }),
    /is 192\.0\.2\.7, which is the address of no interface on its segment/,
    /defaultroute/,
  ],
  ...["ip", "subnet", "netmask", "defaultroute"].map((field): (typeof MISTAKES)[number] => [
    `the ${field} of an interface on no segment`,
    "NETWORK_NEVER_ASSIGNED",
    change(OFFICE, {
      w: { interfaces: ["ethernet1"] },
      d: { parameters: { dnshosts: ["x", unknown("w.ethernet0.ip", `w.ethernet1.${field}`)] } },
    }),
    new RegExp(`d\\.dnshosts is made from w\\.ethernet1\\.${field}, .*w\\.ethernet1 lies on no segment`),
    /d\.dnshosts/,
  ]),
  [
    "a machine's own address on no segment",
    "NETWORK_NEVER_ASSIGNED",
    change(OFFICE, {
      w: { interfaces: ["ethernet1"], parameters: { greeting: [unknown("w.ethernet1.ip")] } },
    }),
    /w\.greeting is made from w\.ethernet1\.ip/,
    /w\.greeting/,
  ],
  [
    "a secret made from an address on no segment",
    "NETWORK_NEVER_ASSIGNED",
    change(OFFICE, {
      w: {
        interfaces: ["ethernet1"],
        parameters: { greeting: [{ kind: "sensitive", from: ["w.password"], waitsFor: ["w.ethernet1.ip"] }] },
      },
    }),
    /w\.greeting is made from w\.ethernet1\.ip/,
    /w\.greeting/,
  ],
  [
    "the default route of a gateway's inside",
    "NETWORK_NEVER_ASSIGNED",
    change(OFFICE, { d: { parameters: { dnshosts: [unknown("f.ethernet0.defaultroute")] } } }),
    /f\.ethernet0\.defaultroute, .* f\.ethernet0 is the gateway of its own segment/,
    /d\.dnshosts/,
  ],
  [
    "the default route of an isolated network",
    "NETWORK_NEVER_ASSIGNED",
    change(OFFICE, {
      "": { parameters: { vanIF: [], defaultroute: [] } },
      f: { interfaces: [] },
      d: { parameters: { dnshosts: [unknown("w.ethernet0.defaultroute")] } },
    }),
    /w\.ethernet0\.defaultroute, .* the network Office, .*has no defaultroute/,
    /d\.dnshosts/,
  ],
  [
    "two default routes",
    "NETWORK_DEFAULTROUTE_LIST",
    change(OFFICE, { "": { parameters: { defaultroute: ["10.0.0.1", "10.0.0.2"] } } }),
    /list of 2/,
    /defaultroute/,
  ],
  [
    "a service that waits for an address",
    "NETWORK_VALUE_NOT_KNOWN",
    change(OFFICE, {
      d: { parameters: { provides: [unknown("d.ethernet0.ip")] } },
      w: { parameters: { requires: [] } },
    }),
    /d\.provides .* waits for d\.ethernet0\.ip/,
    /d\.provides/,
  ],
  [
    "a sensitive vanIF",
    "NETWORK_VALUE_NOT_KNOWN",
    change(OFFICE, {
      w: { parameters: { vanIF: [{ kind: "sensitive", from: ["w.password"], waitsFor: [] }] } },
    }),
    /made from the sensitive w\.password/,
    /w\.vanIF/,
  ],
  [
    "a data disk the machine does not have",
    "NETWORK_DATA_DISK_UNKNOWN_DEVICE",
    datadisk(map({ device: "vdc", size: "1" }), map({ device: "vdb", size: "1" })),
    /device vdc/,
    /w\.datadisks/,
  ],
  [
    "a data disk listed twice",
    "NETWORK_DATA_DISK_TWICE",
    datadisk(map({ device: "vdb", size: "1" }), map({ device: "vdb", size: "2" })),
    /vdb more than once/,
    /w\.datadisks/,
  ],
  [
    "a data disk without a size",
    "NETWORK_DATA_DISK_SYNTAX",
    datadisk(map({ device: "vdb" }), map({ device: "vdb", size: "1" })),
    /no map of a device and a size/,
    /w\.datadisks/,
  ],
  [
    "a data disk that is no map",
    "NETWORK_DATA_DISK_SYNTAX",
    datadisk("%", map({ device: "vdb", size: "1" })),
    /no map/,
    /w\.datadisks/,
  ],
  [
    "a data disk with an option-like name",
    "NETWORK_DATA_DISK_SYNTAX",
    datadisk(map({ device: "-vdb", size: "1" }), map({ device: "vdb", size: "1" })),
    /no map/,
    /w\.datadisks/,
  ],
  [
    "a data disk of no size",
    "NETWORK_DATA_DISK_SIZE",
    datadisk(map({ device: "vdb", size: "0" }), map({ device: "vdb", size: "1" })),
    /size "0"/,
    /w\.datadisks/,
  ],
  [
    "a data disk of a strange size",
    "NETWORK_DATA_DISK_SIZE",
    datadisk(map({ device: "vdb", size: "100MB" }), map({ device: "vdb", size: "1" })),
    /size "100MB"/,
    /w\.datadisks/,
  ],
  [
    "a data disk beyond all bounds",
    "NETWORK_DATA_DISK_SIZE",
    datadisk(map({ device: "vdb", size: "65TiB" }), map({ device: "vdb", size: "1" })),
    /size "65TiB"/,
    /w\.datadisks/,
  ],
  [
    "a program disk without a source",
    "NETWORK_PROGRAM_DISK_WITHOUT_SOURCE",
    { "": {}, w: { image: twoDisks! } },
    /disk vdb of w/,
    /w\.vm/,
  ],
  [
    "too little memory",
    "NETWORK_MEMORY_OUT_OF_BOUNDS",
    { "": {}, w: { image: { memoryMiB: 1 } } },
    /1 MiB/,
    /w\.vm/,
  ],
  [
    "too much memory",
    "NETWORK_MEMORY_OUT_OF_BOUNDS",
    { "": {}, w: { image: { memoryMiB: 5 * 1024 * 1024 } } },
    /4 TiB/,
    /w\.vm/,
  ],
  ["no CPU", "NETWORK_CPUS_OUT_OF_BOUNDS", { "": {}, w: { image: { cpus: 0 } } }, /0 CPUs/, /w\.vm/],
  ["half a CPU", "NETWORK_CPUS_OUT_OF_BOUNDS", { "": {}, w: { image: { cpus: 0.5 } } }, /0\.5 CPUs/, /w\.vm/],
  [
    "a MAC address twice",
    "NETWORK_MAC_TWICE",
    change(OFFICE, {
      d: { parameters: { "ethernet0.mac": "52:54:00:00:00:0a" } },
      w: { parameters: { "ethernet0.mac": "52:54:00:00:00:0A" } },
    }),
    /w\.ethernet0 and d\.ethernet0 both/,
    /w\.ethernet0\.mac/,
  ],
  [
    "a multicast MAC address",
    "NETWORK_ADDRESS_SYNTAX",
    change(OFFICE, { w: { parameters: { "ethernet0.mac": "01:00:5e:00:00:01" } } }),
    /unicast MAC/,
    /w\.ethernet0\.mac/,
  ],
  [
    "a MAC address with dashes, which no guest compares",
    "NETWORK_ADDRESS_SYNTAX",
    change(OFFICE, { w: { parameters: { "ethernet0.mac": "52-54-00-00-00-01" } } }),
    /ethernet0\.mac must be/,
    /w\.ethernet0\.mac/,
  ],
  [
    "an address twice on a segment",
    "NETWORK_IP_TWICE",
    change(OFFICE, {
      d: { parameters: { "ethernet0.ip": "10.0.7.9" } },
      w: { parameters: { "ethernet0.ip": "10.0.7.9" } },
    }),
    /both have the address 10\.0\.7\.9/,
    /w\.ethernet0\.ip/,
  ],
  [
    "an address that is none",
    "NETWORK_ADDRESS_SYNTAX",
    change(OFFICE, { w: { parameters: { "ethernet0.ip": "10.0.7.256" } } }),
    /ethernet0\.ip must be/,
    /w\.ethernet0\.ip/,
  ],
  [
    "an octal address",
    "NETWORK_ADDRESS_SYNTAX",
    change(OFFICE, { w: { parameters: { "ethernet0.ip": "10.0.7.010" } } }),
    /ethernet0\.ip must be/,
    /w\.ethernet0\.ip/,
  ],
  [
    "two addresses",
    "NETWORK_ADDRESS_SYNTAX",
    change(OFFICE, { w: { parameters: { "ethernet0.ip": ["10.0.7.1", "10.0.7.2"] } } }),
    /list of 2/,
    /w\.ethernet0\.ip/,
  ],
  [
    "a netmask with holes",
    "NETWORK_ADDRESS_SYNTAX",
    change(OFFICE, { w: { parameters: { "ethernet0.netmask": "255.0.255.0" } } }),
    /netmask must be/,
    /w\.ethernet0\.netmask/,
  ],
  [
    "an address outside its subnet",
    "NETWORK_IP_OUTSIDE_SUBNET",
    change(OFFICE, {
      w: {
        parameters: {
          "ethernet0.ip": "10.0.8.9",
          "ethernet0.subnet": "10.0.7.0",
          "ethernet0.netmask": "255.255.255.0",
        },
      },
    }),
    /10\.0\.8\.9/,
    /w\.ethernet0\.ip/,
  ],
  [
    "the broadcast address of its subnet",
    "NETWORK_IP_OUTSIDE_SUBNET",
    change(OFFICE, {
      w: {
        parameters: {
          "ethernet0.ip": "10.0.7.255",
          "ethernet0.subnet": "10.0.7.0",
          "ethernet0.netmask": "255.255.255.0",
        },
      },
    }),
    /10\.0\.7\.255/,
    /w\.ethernet0\.ip/,
  ],
  [
    "two subnets on one segment",
    "NETWORK_SUBNET_DIFFERS",
    change(OFFICE, {
      d: { parameters: { "ethernet0.subnet": "10.0.7.0" } },
      w: { parameters: { "ethernet0.subnet": "10.0.8.0" } },
    }),
    /w\.ethernet0 has the subnet 10\.0\.8\.0\/24, but d\.ethernet0 on the same segment has 10\.0\.7\.0\/24/,
    /w\.ethernet0\.subnet/,
  ],
  [
    "one subnet with two netmasks",
    "NETWORK_SUBNET_DIFFERS",
    change(OFFICE, {
      d: { parameters: { "ethernet0.subnet": "10.0.7.0" } },
      w: { parameters: { "ethernet0.subnet": "10.0.7.0", "ethernet0.netmask": "255.255.255.128" } },
    }),
    /10\.0\.7\.0\/25/,
    /w\.ethernet0\.subnet/,
  ],
  [
    "an address outside the subnet another interface of the segment has",
    "NETWORK_IP_OUTSIDE_SUBNET",
    change(OFFICE, {
      d: { parameters: { "ethernet0.subnet": "10.0.7.0" } },
      w: { parameters: { "ethernet0.ip": "10.0.8.9" } },
    }),
    /w\.ethernet0\.ip is 10\.0\.8\.9, .* 10\.0\.7\.0\/24/,
    /w\.ethernet0\.ip/,
  ],
  ...[
    ["10.0.7.1", "255.255.255.0", "host bits"],
    ["10.0.0.0", "254.0.0.0", "too wide"],
    ["10.0.7.0", "255.255.255.254", "too narrow"],
  ].map(([subnet = "", netmask = "", name = ""]): (typeof MISTAKES)[number] => [
    `a subnet that does not fit its netmask: ${name}`,
    "NETWORK_ADDRESS_SYNTAX",
    change(OFFICE, {
      w: { parameters: { "ethernet0.subnet": subnet, "ethernet0.netmask": netmask } },
    }),
    /w\.ethernet0\.subnet must be a network address that fits its netmask/,
    /w\.ethernet0\.subnet/,
  ]),
  ...[
    ["10.0.7.0", "255.255.255.0"],
    ["10.0.0.0", "255.255.0.0"],
    ["10.0.7.128", "255.255.255.128"],
  ].map(([subnet = "", netmask = ""]): (typeof MISTAKES)[number] => [
    `a subnet that meets another network's: ${subnet}`,
    "NETWORK_SUBNETS_OVERLAP",
    change(NESTED, {
      w: { parameters: { "ethernet0.subnet": "10.0.7.0" } },
      "g.w": { parameters: { "ethernet0.subnet": subnet, "ethernet0.netmask": netmask } },
    }),
    /of the network (g|Office) overlaps .* of (g|Office)/,
    /w\.ethernet0\.subnet/,
  ]),
];

/** What an image has to say; all else is found without one. */
const OF_IMAGES: ReadonlySet<string> = new Set([
  "NETWORK_VM_UNRESOLVED",
  "NETWORK_PROGRAM_DISK_WITHOUT_SOURCE",
  "NETWORK_DATA_DISK_UNKNOWN_DEVICE",
  "NETWORK_MEMORY_OUT_OF_BOUNDS",
  "NETWORK_CPUS_OUT_OF_BOUNDS",
]);

for (const [name, code, spec, message, line] of MISTAKES) {
  t.test(`mistake: ${name}`, (t) => {
    const tree = makeTree(spec);
    const images = makeImages(spec);
    if (code === "NETWORK_VM_UNRESOLVED") images.clear();
    const { network, diagnostics } = buildNetwork(tree, images);
    t.equal(network, undefined);
    t.same(
      diagnostics.filter((entry) => entry.severity === "error").map((entry) => entry.code),
      [code],
    );
    const found = diagnostics.find((entry) => entry.code === code)!;
    t.match(found.message, message);
    const { text } = tree.components.get("")!.declared.file;
    t.match(text.slice(found.span!.start, found.span!.end), line);
    t.match(
      renderDiagnostic(found, () => text),
      `error ${code}: `,
    );
    const withoutImages = checkNetwork(tree).filter((entry) => entry.severity === "error");
    t.same(
      withoutImages.map((entry) => entry.code),
      OF_IMAGES.has(code) ? [] : [code],
      "and without images",
    );
    t.end();
  });
}

t.test("subnets that only touch, and those of the external segment, are no mistake", (t) => {
  const spec = change(NESTED, {
    w: { parameters: { "ethernet0.subnet": "10.0.7.0", "ethernet0.netmask": "255.255.255.128" } },
    "g.w": { parameters: { "ethernet0.subnet": "10.0.7.128", "ethernet0.netmask": "255.255.255.128" } },
    f: { parameters: { "ethernet1.subnet": "10.0.7.0" } },
  });
  t.same(build(spec).diagnostics, []);
  t.end();
});

t.test("an appliance that becomes part of a network may lack what that gives it", (t) => {
  const firewall: NetworkSpec = {
    "": {
      kind: "machine",
      interfaces: ["ethernet1"],
      parameters: { requires: "DNS", rules: [unknown("ethernet1.ip")] },
    },
  };
  t.same(
    checkNetwork(makeTree(firewall), { isPart: true }).map(({ code, severity }) => [code, severity]),
    [["NETWORK_REQUIREMENT_UNPROVIDED", "warning"]],
  );
  t.same(
    checkNetwork(makeTree(firewall)).map(({ code, severity }) => [code, severity]),
    [
      ["NETWORK_INTERFACE_UNATTACHED", "warning"],
      ["NETWORK_NEVER_ASSIGNED", "error"],
      ["NETWORK_REQUIREMENT_UNPROVIDED", "error"],
    ],
  );
  t.same(
    checkNetwork(makeTree({ "": {} }), { isPart: true }).map(({ severity }) => severity),
    ["warning"],
  );
  t.end();
});

t.test("what an unset parameter may still provide is not missed", (t) => {
  const spec = change(OFFICE, {
    f: { parameters: { requires: "DHCP" } },
    d: { parameters: { provides: ["DNS", { kind: "unset", waitsFor: ["d.service"] }] } },
  });
  t.same(checkNetwork(makeTree(spec)), []);
  t.end();
});

t.test("thousands of mistakes are 200 and one that says so, beside the warnings", (t) => {
  const spec: Record<string, NetworkSpec[string]> = { "": {} };
  for (let at = 0; at < 300; at += 1) {
    spec[`m${at}`] = { interfaces: ["ethernet1"], parameters: { "ethernet0.ip": "none" } };
  }
  const found = checkNetwork(makeTree(spec));
  t.same(
    ["error", "warning"].map((severity) => found.filter((entry) => entry.severity === severity).length),
    [201, 201],
  );
  t.equal(found.filter(({ code }) => code === "CVL_TOO_MANY_ERRORS").length, 2);
  t.end();
});

t.test("machines that wait for more services than are kept are told the limit", (t) => {
  const services = Array.from({ length: 3000 }, (_, at) => `s${at}`);
  const spec: Record<string, NetworkSpec[string]> = {
    "": { parameters: { requires: services } },
    p: { parameters: { provides: services } },
  };
  for (let at = 0; at < 2000; at += 1) spec[`m${at}`] = {};
  t.match(
    checkNetwork(makeTree(spec)).map(({ code, message }) => `${code}: ${message}`),
    [/CVL_LIMIT: all machines together may wait for at most 5000000 services/],
  );
  t.end();
});

t.test("warnings: an interface on no segment is created link-down, a nested network may be empty", (t) => {
  const down = build(change(OFFICE, { w: { interfaces: ["ethernet1"] } }));
  t.match(down.diagnostics, [
    { code: "NETWORK_INTERFACE_UNATTACHED", severity: "warning", message: /w\.ethernet1/ },
  ]);
  t.equal(down.network?.machines["w"]?.interfaces["ethernet1"]?.segment, null);
  t.same(down.network!.machines["w"]?.parameters["ethernet1.ip"], []);
  const empty = build({ ...OFFICE, g: { kind: "network" } });
  t.match(empty.diagnostics, [{ code: "NETWORK_EMPTY", severity: "warning" }]);
  t.ok(empty.network);
  t.end();
});

t.test("all mistakes are reported, not the first", (t) => {
  const { diagnostics } = build(
    change(OFFICE, {
      f: { parameters: { requires: "DHCP", "ethernet0.ip": "no" } },
      w: { parameters: { vanIF: "eth9" } },
    }),
  );
  t.same(
    diagnostics
      .filter((entry) => entry.severity === "error")
      .map((entry) => entry.code)
      .sort(),
    ["NETWORK_ADDRESS_SYNTAX", "NETWORK_REQUIREMENT_UNPROVIDED", "NETWORK_VANIF_NO_INTERFACE"],
  );
  t.end();
});

t.test("data disk sizes: bare numbers are MiB, units are binary", (t) => {
  for (const [text, mib] of [
    ["100", 100],
    ["100MiB", 100],
    ["2GiB", 2048],
    ["1 TiB", 1048576],
    ["64TiB", 67108864],
  ] as const) {
    const network = makeNetwork(datadisk(map({ device: "vdb", size: text })));
    t.equal(network.machines["w"]?.dataDisks[0]?.sizeBytes, mib * 1024 * 1024, text);
  }
  t.end();
});

t.test("the boot order keeps every requirement, whatever the services are", (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ requires: services(), provides: services() }), { minLength: 1, maxLength: 12 }),
      (machines) => {
        const spec: Record<string, object> = { "": {} };
        machines.forEach((parameters, index) => (spec[`m${index}`] = { parameters }));
        const { network, diagnostics } = build(spec);
        const codes = diagnostics.map((entry) => entry.code);
        if (network === undefined)
          return codes.every((code) => /UNPROVIDED|CYCLE/.test(code)) && codes.length > 0;
        const { rounds } = bootOrder(network);
        const roundOf = new Map(
          rounds.flatMap((round, index) => round.map((path) => [path, index] as const)),
        );
        return Object.values(network.machines).every((machine) =>
          machine.startsAfter.every(({ anyOf }) =>
            anyOf.some((path) => roundOf.get(path)! < roundOf.get(machine.path)!),
          ),
        );
      },
    ),
    { numRuns: 300 },
  );
  t.end();
});

t.test("10,000 machines are described and ordered in linear time, a cycle of 10,000 is found", (t) => {
  const spec: Record<string, object> = { "": {} };
  for (let index = 0; index < 10_000; index += 1) {
    const requires = index % 100 === 0 ? [] : [`s${index - 1}`, "all"];
    spec[`m${index}`] = {
      parameters: { provides: [`s${index}`, ...(index % 100 === 0 ? ["all"] : [])], requires },
      image: {},
    };
  }
  const tree = makeTree(spec);
  const images = makeImages(spec);
  const started = process.cpuUsage();
  const { network } = buildNetwork(tree, images);
  const { rounds } = bootOrder(network!);
  const elapsed = process.cpuUsage(started).user / 1000;
  t.equal(rounds.flat().length, 10_000);
  t.equal(rounds.length, 100);
  t.ok(elapsed < 1500, `${elapsed.toFixed(0)} ms`);
  t.comment(`10,000 machines described and ordered in ${elapsed.toFixed(0)} ms of CPU time`);

  for (let index = 0; index < 10_000; index += 1) {
    spec[`m${index}`] = {
      parameters: { provides: `s${index}`, requires: `s${(index + 1) % 10_000}` },
      image: {},
    };
  }
  const cyclic = build(spec);
  t.match(cyclic.diagnostics, [{ code: "NETWORK_DEPENDENCY_CYCLE", message: /and 9988 more, back to m0$/ }]);
  t.end();
});

function build(spec: NetworkSpec): ReturnType<typeof buildNetwork> {
  return buildNetwork(makeTree(spec), makeImages(spec));
}

function services(): fc.Arbitrary<string[]> {
  return fc.uniqueArray(fc.constantFrom("a", "b", "c", "d", "e"), { maxLength: 2 });
}
