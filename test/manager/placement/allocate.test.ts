import fc from "fast-check";
import { test } from "tap";
import { EXTERNAL_SEGMENT } from "../../../src/network/description.ts";
import { allocate, type AllocateOptions } from "../../../src/manager/placement/allocate.ts";
import { NOTHING_ALLOCATED, type NetworkAllocation } from "../../../src/manager/records/allocation.ts";
import { parseAddress, parseSubnet, isHostAddress } from "../../../src/network/ipv4.ts";
import { sampleInterface, sampleMachine, sampleNetwork } from "../describe-fixtures.ts";

const INVENTORY: AllocateOptions["inventory"] = {
  vlans: [100, 101, 300],
  external: { tag: 1000, subnet: "198.51.100.0/24", gateway: "198.51.100.1" },
  addresses: [{ first: parseAddress("198.51.100.10")!, last: parseAddress("198.51.100.11")! }],
  subnets: "10.0.0.0/8",
};
const NOTHING_TAKEN: AllocateOptions["taken"] = {
  tags: new Set(),
  macs: new Set(),
  publicAddresses: new Set(),
};

const firewall = sampleMachine("f", {
  interfaces: {
    ethernet0: sampleInterface("", { isGateway: true }),
    ethernet1: sampleInterface(EXTERNAL_SEGMENT),
  },
});
const office = sampleNetwork([sampleMachine("d"), firewall, sampleMachine("w")], { gateway: "f.ethernet0" });

function allocateOffice(options: Partial<AllocateOptions> = {}): NetworkAllocation {
  return allocate({
    networkId: "office",
    description: office,
    kept: NOTHING_ALLOCATED,
    taken: NOTHING_TAKEN,
    inventory: INVENTORY,
    ...options,
  });
}

test("a network gets a tag, the subnet of the tag, the first address for its gateway, and a public address", (t) => {
  const { segments, interfaces } = allocateOffice();
  t.same(segments, {
    "": { tag: 100, subnet: "10.0.100.0/24" },
    [EXTERNAL_SEGMENT]: { tag: 1000, subnet: "198.51.100.0/24" },
  });
  t.equal(interfaces["f.ethernet0"]?.ip, "10.0.100.1");
  t.equal(interfaces["d.ethernet0"]?.ip, "10.0.100.2");
  t.equal(interfaces["w.ethernet0"]?.ip, "10.0.100.3");
  t.equal(interfaces["f.ethernet1"]?.ip, "198.51.100.10");
  for (const { mac } of Object.values(interfaces)) t.match(mac, /^02(:[0-9a-f]{2}){5}$/);
  t.end();
});

test("the subnet follows the tag over the second and third octet", (t) => {
  const { segments } = allocateOffice({ inventory: { ...INVENTORY, vlans: [4094] } });
  t.equal(segments[""]?.subnet, "10.15.254.0/24");
  t.equal(
    allocateOffice({ inventory: { ...INVENTORY, vlans: [1], subnets: "172.16.0.0/12" } }).segments[""]
      ?.subnet,
    "172.16.1.0/24",
  );
  t.end();
});

test("what others hold is not given out again", (t) => {
  const first = allocateOffice();
  const second = allocateOffice({
    networkId: "office",
    taken: {
      tags: new Set([100]),
      macs: new Set(Object.values(first.interfaces).map((entry) => entry.mac)),
      publicAddresses: new Set([parseAddress("198.51.100.10")!]),
    },
  });
  t.equal(second.segments[""]?.tag, 101);
  t.equal(second.interfaces["f.ethernet1"]?.ip, "198.51.100.11");
  const macs = [...Object.values(first.interfaces), ...Object.values(second.interfaces)].map(
    (entry) => entry.mac,
  );
  t.equal(new Set(macs).size, macs.length);
  t.end();
});

test("the tag of the external segment is never a network's", (t) => {
  t.throws(() => allocateOffice({ inventory: { ...INVENTORY, vlans: [1000] } }), {
    code: "UTILITY_VLANS_EXHAUSTED",
  });
  t.end();
});

test("a tag whose subnet is the external one is passed over", (t) => {
  const external = { tag: null, subnet: "10.0.100.0/23", gateway: "10.0.100.1" };
  const addresses = [{ first: parseAddress("10.0.100.10")!, last: parseAddress("10.0.100.99")! }];
  const { segments } = allocateOffice({ inventory: { ...INVENTORY, external, addresses } });
  t.same(segments[""], { tag: 300, subnet: "10.1.44.0/24" });
  t.end();
});

test("a tag whose subnet CVL gave another network is passed over, whichever comes first", (t) => {
  const inner = { ...sampleInterface("z"), subnet: ["10.0.100.0"], netmask: ["255.255.255.0"] };
  const machines = [sampleMachine("a"), sampleMachine("z.b", { interfaces: { ethernet0: inner } })];
  const { segments } = allocateOffice({ description: sampleNetwork(machines) });
  t.match(segments, { "": { subnet: "10.0.101.0/24" }, z: { subnet: "10.0.100.0/24" } });
  t.end();
});

test("subnets that meet are refused, whoever set them", (t) => {
  const refusal = {
    code: "UTILITY_SUBNETS_MEET",
    message: /198\.51\.100\.0\/24 of the external segment/,
  };
  for (const [subnet, netmask] of [
    ["198.51.100.0", "255.255.255.0"],
    ["198.51.100.128", "255.255.255.128"],
  ] as const) {
    const inside = { ...sampleInterface("", { isGateway: true }), subnet: [subnet], netmask: [netmask] };
    const gateway = sampleMachine("f", {
      interfaces: { ethernet0: inside, ethernet1: sampleInterface(EXTERNAL_SEGMENT) },
    });
    const description = sampleNetwork([gateway], { gateway: "f.ethernet0" });
    t.throws(() => allocateOffice({ description }), refusal, subnet);
  }
  const kept = allocateOffice();
  const external = { tag: 1000, subnet: "10.0.0.0/16", gateway: "10.0.0.1" };
  t.throws(() => allocateOffice({ kept, inventory: { ...INVENTORY, external } }), {
    code: "UTILITY_SUBNETS_MEET",
  });
  t.end();
});

test("what runs out is said before anything is changed", (t) => {
  t.throws(() => allocateOffice({ inventory: { ...INVENTORY, vlans: [] } }), {
    code: "UTILITY_VLANS_EXHAUSTED",
  });
  t.throws(() => allocateOffice({ taken: { ...NOTHING_TAKEN, tags: new Set([100, 101, 300]) } }), {
    code: "UTILITY_VLANS_EXHAUSTED",
  });
  t.throws(() => allocateOffice({ inventory: { ...INVENTORY, addresses: [] } }), {
    code: "UTILITY_ADDRESSES_EXHAUSTED",
  });
  t.throws(() => allocateOffice({ inventory: { ...INVENTORY, external: undefined } }), {
    code: "UTILITY_NO_EXTERNAL",
  });
  const crowd = Array.from({ length: 254 }, (_, index) => sampleMachine(`m${index}`));
  t.throws(() => allocateOffice({ description: sampleNetwork(crowd) }), {
    code: "UTILITY_ADDRESSES_EXHAUSTED",
  });
  t.equal(Object.keys(allocateOffice({ description: sampleNetwork(crowd.slice(1)) }).interfaces).length, 253);
  t.end();
});

test("values CVL sets are respected, and refused where they cannot hold", (t) => {
  const withWeb = (entry: ReturnType<typeof sampleInterface>) =>
    sampleNetwork([sampleMachine("d"), sampleMachine("w", { interfaces: { ethernet0: entry } })]);
  const kept = allocateOffice({ description: withWeb(sampleInterface("")) });
  t.equal(kept.interfaces["d.ethernet0"]?.ip, "10.0.100.2");
  const moved = allocateOffice({
    kept,
    description: withWeb(sampleInterface("", { ip: ["10.0.100.2"], mac: ["02:00:00:00:00:AA"] })),
  });
  t.equal(moved.interfaces["w.ethernet0"]?.ip, "10.0.100.2");
  t.equal(moved.interfaces["w.ethernet0"]?.mac, "02:00:00:00:00:aa");
  t.equal(
    moved.interfaces["d.ethernet0"]?.ip,
    "10.0.100.3",
    "an address that CVL claims is taken from who had it by chance",
  );
  const own = withWeb(
    sampleInterface("", { subnet: ["192.168.7.0"], netmask: ["255.255.255.128"], ip: ["192.168.7.9"] }),
  );
  t.equal(allocateOffice({ description: own }).interfaces["d.ethernet0"]?.ip, "192.168.7.2");
  const invalid = [
    sampleInterface("", { ip: ["10.0.200.5"] }),
    sampleInterface("", { ip: ["10.0.100.255"] }),
    sampleInterface("", { ip: ["10.0.100.05"] }),
    sampleInterface("", { ip: ["a", "b"] }),
    sampleInterface("", { mac: ["03:00:00:00:00:01"] }),
    sampleInterface("", { subnet: ["192.168.7.1"] }),
    sampleInterface("", { subnet: ["192.168.7.0"], netmask: ["255.0.255.0"] }),
  ];
  for (const entry of invalid) {
    t.throws(
      () => allocateOffice({ description: withWeb(entry) }),
      { code: "UTILITY_ADDRESS_INVALID" },
      JSON.stringify(entry),
    );
  }
  const twice = sampleNetwork(
    ["a", "b"].map((path) =>
      sampleMachine(path, { interfaces: { ethernet0: sampleInterface("", { ip: ["10.0.100.9"] }) } }),
    ),
  );
  t.throws(() => allocateOffice({ description: twice }), { code: "UTILITY_ADDRESS_TAKEN" });
  t.throws(
    () =>
      allocateOffice({
        description: withWeb(sampleInterface("", { mac: ["02:00:00:00:00:01"] })),
        taken: { ...NOTHING_TAKEN, macs: new Set(["02:00:00:00:00:01"]) },
      }),
    { code: "UTILITY_ADDRESS_TAKEN" },
  );
  t.end();
});

test("an interface on no segment gets a MAC and nothing else", (t) => {
  const lonely = sampleNetwork([sampleMachine("a", { interfaces: { ethernet0: sampleInterface(null) } })]);
  const { interfaces, segments } = allocateOffice({ description: lonely });
  t.same(segments, {});
  t.equal(interfaces["a.ethernet0"]?.ip, null);
  t.match(interfaces["a.ethernet0"]?.mac, /^02:/);
  t.end();
});

const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,3}$/), { minLength: 1, maxLength: 12 });
const exported = fc.nat({ max: 2 });

function networkOf(components: readonly string[], exportedCount: number) {
  return sampleNetwork(
    components.map((path, index) =>
      sampleMachine(path, {
        interfaces: {
          ethernet0: sampleInterface(""),
          ...(index < exportedCount ? { ethernet1: sampleInterface(EXTERNAL_SEGMENT) } : {}),
        },
      }),
    ),
    { gateway: `${components[0] ?? ""}.ethernet0` },
  );
}

test("whatever networks come and change, no tag, MAC or address is given out twice, and what stays keeps its own", (t) => {
  const wide = {
    ...INVENTORY,
    vlans: [1, 2, 3, 4, 5],
    addresses: [{ first: parseAddress("198.51.100.10")!, last: parseAddress("198.51.100.40")! }],
  };
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat({ max: 3 }), names, exported), { maxLength: 12 }), (changes) => {
      const held = new Map<number, NetworkAllocation>();
      for (const [id, components, exportedCount] of changes) {
        const others = [...held].filter(([other]) => other !== id).map(([, allocation]) => allocation);
        const kept = held.get(id) ?? NOTHING_ALLOCATED;
        const next = allocateOffice({
          networkId: `n${id}`,
          description: networkOf(components, exportedCount),
          kept,
          inventory: wide,
          taken: {
            tags: new Set(others.map((other) => other.segments[""]?.tag ?? -1)),
            macs: new Set(
              others.flatMap((other) => Object.values(other.interfaces).map((entry) => entry.mac)),
            ),
            publicAddresses: new Set(
              others.flatMap((other) =>
                Object.values(other.interfaces).flatMap((entry) =>
                  entry.segment === EXTERNAL_SEGMENT ? [parseAddress(entry.ip!)!] : [],
                ),
              ),
            ),
          },
        });
        for (const [path, entry] of Object.entries(kept.interfaces)) {
          const now = next.interfaces[path];
          if (now?.segment === entry.segment && (now.mac !== entry.mac || now.ip !== entry.ip)) fail("moved");
        }
        held.set(id, next);
        assertDistinct([...held.values()]);
      }
    }),
    { numRuns: 150 },
  );
  t.end();
});

function assertDistinct(allocations: readonly NetworkAllocation[]): void {
  const all = allocations.flatMap((allocation, index) =>
    Object.values(allocation.interfaces).map((entry) => ({
      mac: entry.mac,
      address: `${entry.segment === EXTERNAL_SEGMENT ? "external" : String(index)} ${entry.ip}`,
      isInside: isHostAddress(
        parseSubnet(allocation.segments[entry.segment!]!.subnet)!,
        parseAddress(entry.ip!)!,
      ),
    })),
  );
  const tags = allocations.map((allocation) => allocation.segments[""]!.tag);
  if (new Set(tags).size !== tags.length) fail("a tag twice");
  if (new Set(all.map((entry) => entry.mac)).size !== all.length) fail("a MAC twice");
  if (new Set(all.map((entry) => entry.address)).size !== all.length) fail("an address twice");
  if (!all.every((entry) => entry.isInside)) fail("an address outside its subnet");
}

function fail(what: string): never {
  throw new Error(what);
}
