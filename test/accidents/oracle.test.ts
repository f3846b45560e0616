/** The oracle of the accidents sees what it is there for. */
import { test } from "tap";
import type { StatusReport } from "../../src/manager/observe/network-status.ts";
import { keeperDisk, readConsole, readDataDisk } from "./keeper-guest.ts";
import { enter, forgottenDisks, lostDisks, sharedThings, untrueStatus, type Ledger } from "./oracle.ts";
import type { RealMachine } from "./real-side.ts";
import { describeStep, randomSequence } from "./sequence.ts";

const NAME = "000000001fd56442";
const at = { networkId: "one-1", component: "b" };
const told = (name: string, starts: number): Ledger => {
  const ledger: Ledger = new Map();
  enter(ledger, [
    { ...at, name, starts },
    { ...at, name, starts: starts - 1 },
  ]);
  return ledger;
};
const machine = (change: Partial<RealMachine> = {}): RealMachine => ({
  ...{ ...at, host: "host1", domain: "cui.one-1.b", state: "running" },
  macs: ["52:00:00:00:00:01"],
  addresses: [{ ip: "10.0.100.2", tag: 100 }],
  ports: ["cu1.0"],
  disks: ["/host1/data-hda.qcow2"],
  ...change,
});
const TAGS = new Map(["host1", "host2"].map((host) => [host, new Map([["cu1.0", 100]])]));

test("a disk that is gone, old or changed is lost; a copy of it does no harm", (t) => {
  const disk = { name: NAME, starts: 3, file: "/x", isWhole: true };
  t.same(lostDisks(told(NAME, 3), [disk, { ...disk, starts: 1 }]), []);
  t.same(lostDisks(told(NAME, 3), [{ ...disk, starts: 4 }]), [], "it may have written and not said so yet");
  t.match(lostDisks(told(NAME, 3), []), [/nowhere/]);
  t.match(lostDisks(told(NAME, 3), [{ ...disk, starts: 2 }]), [/should be at 3, but there is \/x \(2\)/]);
  t.match(lostDisks(told(NAME, 3), [{ ...disk, isWhole: false }]), [/not as its guest left it/]);
  t.end();
});

test("a second name for one component is an empty disk that it was given", (t) => {
  const ledger = told(NAME, 1);
  t.same(forgottenDisks(ledger), []);
  enter(ledger, [{ ...at, name: "0".repeat(16), starts: 1 }]);
  t.match(forgottenDisks(ledger), [/b of one-1 was given an empty data disk/]);
  t.end();
});

test("what two running machines share is named", (t) => {
  t.same(sharedThings([machine()], TAGS), []);
  const other = { component: "a", networkId: "two-2", domain: "cui.two-2.a" };
  t.match(sharedThings([machine(), machine(other)], TAGS), [
    /the MAC/,
    /the address/,
    /the data disk/,
    /the VLAN tag 100/,
  ]);
  t.same(sharedThings([machine(), machine({ ...other, state: "off" })], TAGS), []);
  const twice = machine({ host: "host2", macs: [], addresses: [], ports: [], disks: [] });
  t.match(sharedThings([machine(), twice], TAGS), [/the domain cui\.one-1\.b/]);
  t.match(sharedThings([machine({ ports: ["cu2.0"] })], TAGS), [/no port cu2\.0/]);
  t.end();
});

test("a status that says another thing than libvirt is untrue", (t) => {
  const report = (state: string, change: Partial<StatusReport> = {}): StatusReport =>
    ({
      networks: [{ networkId: "one-1", machines: [{ component: "b", host: "host1", state }], orphans: [] }],
      unknown: [],
      unreachable: [],
      ...change,
    }) as unknown as StatusReport;
  const own = (): boolean => true;
  t.same(untrueStatus(report("ready"), [machine()], own), []);
  t.same(untrueStatus(report("stopped"), [machine({ state: "off" })], own), []);
  t.match(untrueStatus(report("stopped"), [machine()], own), [/running on host1, status says stopped/]);
  t.match(untrueStatus(report("ready"), [machine({ state: "paused" })], own), [
    /paused on host1, status says ready/,
  ]);
  t.match(untrueStatus(report("ready"), [], own), [/says b of one-1 is ready on host1, where it is not/]);
  t.match(untrueStatus(report("ready", { networks: [] }), [machine()], own), [/status says nothing/]);
  const unknown = [{ ...at, host: "host1", file: null, state: "ready" as const }];
  t.same(
    untrueStatus(report("ready", { networks: [], unknown }), [machine()], own),
    [],
    "unknown, and named",
  );
  t.match(untrueStatus(report("unseen"), [machine()], own), [
    /status says unseen/,
    /unseen on host1, which is up/,
  ]);
  t.end();
});

test("a seed gives the same sequence each time, and its steps tell themselves apart", (t) => {
  for (let seed = 0; seed < 200; seed++) t.same(randomSequence(seed), randomSequence(seed));
  const steps = Array.from({ length: 200 }, (_, seed) => randomSequence(seed).steps.map(describeStep).join());
  t.ok(new Set(steps).size > 195);
  t.end();
});

test("the guest's console and disk are read as keeper.s writes them", (t) => {
  t.same(readConsole(`SeaBIOS\r\nkeeper ${NAME} 0000000a end\r\nkeeper ${NAME} 00`), [
    { name: NAME, starts: 10 },
  ]);
  t.equal(readDataDisk(Buffer.alloc(4096)), undefined);
  const disk = Buffer.alloc(2 * 1024 * 1024);
  disk.write("KEEP", "latin1");
  t.match(readDataDisk(disk), { starts: 0, isWhole: false });
  t.equal(keeperDisk(2).length, 1024 * 1024);
  t.end();
});
