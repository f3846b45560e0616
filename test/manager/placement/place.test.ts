import fc from "fast-check";
import { test } from "tap";
import { place, type Placeable, type CandidateHost } from "../../../src/manager/placement/place.ts";
import { MIB } from "../describe-fixtures.ts";

const candidate = (name: string, options: Partial<CandidateHost> = {}): CandidateHost => ({
  name,
  arch: "x86_64",
  freeBytes: 1024 * MIB,
  freeMachines: 10,
  ofNetwork: 0,
  lacks: [],
  ...options,
});
const machine = (component: string, options: Partial<Placeable> = {}): Placeable => ({
  component,
  memoryBytes: 128 * MIB,
  arch: "x86_64",
  parts: [],
  ...options,
});
const placed = (machines: Placeable[], candidates: CandidateHost[]): Record<string, string> =>
  Object.fromEntries(place(machines, candidates));

test("machines of one network are spread over the hosts", (t) => {
  t.same(placed([machine("d"), machine("f"), machine("w")], [candidate("h1"), candidate("h2")]), {
    d: "h1",
    f: "h2",
    w: "h1",
  });
  t.same(placed([machine("w")], [candidate("h1", { ofNetwork: 1 }), candidate("h2")]), { w: "h2" });
  t.end();
});

test("a machine stays where it runs or where its data disk is, and prefers where it was", (t) => {
  const candidates = [candidate("h1"), candidate("h2", { ofNetwork: 5 })];
  t.same(placed([machine("w", { pinned: { host: "h2", reason: "it runs" } })], candidates), { w: "h2" });
  t.same(placed([machine("w", { prefers: "h2" })], candidates), { w: "h2" });
  t.same(placed([machine("w", { prefers: "h2" })], [candidate("h1"), candidate("h2", { freeMachines: 0 })]), {
    w: "h1",
  });
  t.end();
});

test("packing tightly finds room where spreading does not", (t) => {
  const candidates = [candidate("h1", { freeBytes: 300 * MIB }), candidate("h2", { freeBytes: 200 * MIB })];
  const result = placed(
    [
      machine("a", { memoryBytes: 200 * MIB }),
      machine("b", { memoryBytes: 150 * MIB }),
      machine("c", { memoryBytes: 150 * MIB }),
    ],
    candidates,
  );
  t.same(result, { a: "h2", b: "h1", c: "h1" });
  t.end();
});

test("without room the error says what each host lacks", (t) => {
  const candidates = [
    candidate("h1", { freeBytes: 100 * MIB }),
    candidate("h2", { freeMachines: 0 }),
    candidate("h3", { arch: "aarch64" }),
    candidate("h4", { problem: "HOST_BRIDGE_MISSING: no bridge" }),
  ];
  t.throws(() => place([machine("w")], candidates), {
    code: "UTILITY_NO_CAPACITY",
    message:
      "no host has capacity for w (x86_64, 128 MiB)\n  h1: 100 MiB memory free of 128 MiB needed\n  h2: its limit of machines is reached\n  h3: is aarch64, not x86_64\n  h4: HOST_BRIDGE_MISSING: no bridge",
  });
  t.throws(
    () =>
      place(
        [machine("w", { pinned: { host: "h2", reason: "its data disk vdb is" } })],
        [candidate("h1"), candidate("h2", { freeMachines: 0 })],
      ),
    {
      message: /h1: not the host where its data disk vdb is\n {2}h2: its limit of machines is reached/,
    },
  );
  t.throws(() => place([machine("w")], []), {
    code: "UTILITY_NO_CAPACITY",
    message: "utility.yaml has no host",
  });
  t.end();
});

test("no host ever gets more than it has room for, and every machine gets a host that can run it", (t) => {
  const candidates = fc.array(
    fc.record({
      freeBytes: fc.nat({ max: 1000 }),
      freeMachines: fc.nat({ max: 4 }),
      arch: fc.constantFrom("x86_64", "aarch64"),
      ofNetwork: fc.nat({ max: 3 }),
    }),
    { maxLength: 5 },
  );
  const machines = fc.array(
    fc.record({
      memoryBytes: fc.integer({ min: 1, max: 600 }),
      arch: fc.constantFrom("x86_64", "aarch64"),
      prefers: fc.constantFrom("h0", "h1", "gone"),
    }),
    { maxLength: 6 },
  );
  fc.assert(
    fc.property(candidates, machines, (parts, machineParts) => {
      const given = parts.map((part, index) => candidate(`h${index}`, part));
      const wanted = machineParts.map((part, index) => machine(`m${index}`, part));
      let result: ReadonlyMap<string, string>;
      try {
        result = place(wanted, given);
      } catch (error) {
        return (error as { code?: string }).code === "UTILITY_NO_CAPACITY";
      }
      return (
        given.every((host) => {
          const here = wanted.filter((entry) => result.get(entry.component) === host.name);
          const memory = here.reduce((sum, entry) => sum + entry.memoryBytes, 0);
          return (
            memory <= host.freeBytes &&
            here.length <= host.freeMachines &&
            here.every((entry) => entry.arch === host.arch)
          );
        }) && result.size === wanted.length
      );
    }),
    { numRuns: 500 },
  );
  t.end();
});
