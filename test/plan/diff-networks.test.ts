import t, { type Test } from "tap";
import fc from "fast-check";
import { machinesBelow } from "../../src/network/boot-order.ts";
import type { NetworkDescription } from "../../src/network/description.ts";
import { diffNetworks, planRemove, planStop } from "../../src/plan/diff-networks.ts";
import { canonicalJson, digestInputs, digestPlan } from "../../src/plan/digest.ts";
import { ACTION_CLASSES } from "../../src/plan/action-kinds.ts";
import type { Action, Plan, PlanFacts } from "../../src/plan/plan.ts";
import { restrictPlan } from "../../src/plan/restrict-plan.ts";
import {
  change,
  makeNetwork,
  map,
  OFFICE,
  unknown,
  type ComponentSpec,
  type NetworkSpec,
} from "../network/fixtures.ts";

const TWO_DISKS = [
  { device: "vda", bus: "virtio", source: "root.qcow2" },
  { device: "vdb", bus: "virtio", source: undefined },
  { device: "vdc", bus: "virtio", source: undefined },
] as const;
const ROOMY: NetworkSpec = change(OFFICE, {
  d: { image: { disks: [...TWO_DISKS.slice(0, 2), { device: "vdc", bus: "virtio", source: "x" }] } },
});

const HARMLESS: ReadonlySet<string> = new Set(["note", "await", "detach-data-disk"]);

/** One line an action: `class id < what it waits for`. */
function lines(plan: Plan): string[] {
  return plan.actions.map(({ class: name, id, after, afterAny }) => {
    const waits = [...after, ...(afterAny ?? []).map((ids) => `(${ids.join(" or ")})`)];
    return `${name} ${id}${waits.length === 0 ? "" : ` < ${waits.join(", ")}`}`;
  });
}

function diff(before: NetworkSpec | null, after: NetworkSpec, facts: PlanFacts = {}): Plan {
  return diffNetworks(before === null ? null : makeNetwork(before), makeNetwork(after), facts);
}

interface Case {
  readonly name: string;
  readonly before: NetworkSpec | null;
  readonly after: NetworkSpec;
  readonly facts?: PlanFacts;
  readonly actions: readonly string[];
  /** Reasons of the action named by the first word of the pattern's line. */
  readonly reasons?: Readonly<Record<string, RegExp>>;
}

const parameters = (path: string, values: ComponentSpec["parameters"]): NetworkSpec =>
  change(OFFICE, { [path]: { parameters: values! } });
const version2 = change(OFFICE, { w: { version: 2, image: { version: 2 } } });

const LAB: NetworkSpec = {
  "": {},
  g: { kind: "network", parameters: { provides: "lab" } },
  "g.a": {},
  "g.b": {},
  c: { parameters: { requires: "lab" } },
};

const CASES: readonly Case[] = [
  {
    name: "start: segments first, then the boot order",
    before: null,
    after: OFFICE,
    actions: [
      "none create-segment .",
      "none create-segment @external",
      "replace start f < create-segment ., create-segment @external",
      "none create-data-disk d:vdb",
      "replace start d < create-data-disk d:vdb, create-segment .",
      "replace start w < create-segment ., start d",
    ],
    reasons: { "start f": /declared, and not there yet Office\.cvl:\d+/ },
  },
  { name: "equal descriptions", before: OFFICE, after: OFFICE, actions: [] },
  {
    name: "a new version with new content replaces one machine",
    before: OFFICE,
    after: version2,
    actions: ["replace replace w"],
    reasons: { "replace w": /Web v1 → v2 Office\.cvl:\d+\nprogram disk vda changed Office\.cvl:\d+$/ },
  },
  {
    name: "a new version with the same content is a note",
    before: OFFICE,
    after: change(OFFICE, { w: { version: 2, image: { version: 2, content: "Web v1" } } }),
    actions: ["none note w"],
    reasons: { "note w": /Web v1 → v2/ },
  },
  {
    name: "a new version of the class alone is a note",
    before: OFFICE,
    after: change(OFFICE, { w: { version: 2 } }),
    actions: ["none note w"],
    reasons: { "note w": /Web v1 → v2/ },
  },
  {
    name: "parameters alone are sent again, each with its line",
    before: OFFICE,
    after: parameters("w", { greeting: "hi", extra: ["a", "b"] }),
    actions: ["parameters send-parameters w"],
    reasons: {
      "send-parameters w": /greeting: "hello" → "hi" Office\.cvl:\d+\nextra: \(unset\) → "a", "b" Office/,
    },
  },
  {
    name: "a parameter that is no longer there is sent too",
    before: parameters("w", { extra: "a" }),
    after: OFFICE,
    actions: ["parameters send-parameters w"],
    reasons: { "send-parameters w": /extra: "a" → \(unset\) Office/ },
  },
  {
    name: "an unknown that waits for something else is sent again",
    before: OFFICE,
    after: parameters("d", { dnshosts: [unknown("f.ethernet0.ip")] }),
    actions: ["parameters send-parameters d"],
  },
  {
    name: "an unknown that became known is sent again",
    before: OFFICE,
    after: parameters("w", { "ethernet0.ip": "10.0.7.9" }),
    actions: ["parameters send-parameters w"],
    reasons: { "send-parameters w": /ethernet0\.ip: \(assigned at start\) → "10\.0\.7\.9" Office/ },
  },
  {
    name: "a sensitive parameter that changed is sent again",
    before: OFFICE,
    after: OFFICE,
    facts: { sensitiveChanged: new Set(["w.password"]) },
    actions: ["parameters send-parameters w"],
    reasons: { "send-parameters w": /password: \(sensitive\), changed/ },
  },
  {
    name: "a changed sensitive parameter of somebody else is nothing to this one",
    before: OFFICE,
    after: OFFICE,
    facts: { sensitiveChanged: new Set(["x.password"]) },
    actions: [],
  },
  {
    name: "more memory replaces, because the VM description differs",
    before: OFFICE,
    after: change(OFFICE, { w: { image: { memoryMiB: 256 } } }),
    actions: ["replace replace w"],
    reasons: { "replace w": /memory 128 MiB → 256 MiB/ },
  },
  {
    name: "an interface that comes needs a restart",
    before: OFFICE,
    after: change(OFFICE, { w: { interfaces: ["ethernet1"] } }),
    actions: ["restart restart w"],
    reasons: { "restart w": /^interface ethernet1 added Office\.cvl:\d+$/ },
  },
  {
    name: "an interface that goes needs a restart",
    before: change(OFFICE, { w: { interfaces: ["ethernet1"] } }),
    after: OFFICE,
    actions: ["restart restart w"],
    reasons: { "restart w": /^interface ethernet1 removed$/ },
  },
  {
    name: "another MAC address needs a restart",
    before: OFFICE,
    after: parameters("w", { "ethernet0.mac": "52:54:00:00:00:01" }),
    actions: ["restart restart w"],
    reasons: { "restart w": /MAC address of ethernet0: \(unset\) → "52:54:00:00:00:01" Office/ },
  },
  {
    name: "a network that gets isolated: the segment goes last",
    before: OFFICE,
    after: parameters("", { vanIF: [], defaultroute: [] }),
    actions: [
      "restart restart f",
      "parameters send-parameters d",
      "parameters send-parameters w < send-parameters d",
      "none remove-segment @external < restart f",
    ],
    reasons: { "restart f": /ethernet1 moves from the external segment to no segment/ },
  },
  {
    name: "a data disk that grows",
    before: OFFICE,
    after: parameters("d", { datadisks: map({ device: "vdb", size: "200MiB" }) }),
    actions: ["restart resize-data-disk d:vdb", "restart restart d < resize-data-disk d:vdb"],
    reasons: { "restart d": /vdb grows from 100 MiB to 200 MiB Office/ },
  },
  {
    name: "a data disk that is detached is class data",
    before: ROOMY,
    after: change(ROOMY, {
      d: {
        parameters: { datadisks: [] },
        image: { disks: [{ ...TWO_DISKS[1], source: "x" }, TWO_DISKS[0], { ...TWO_DISKS[2], source: "x" }] },
      },
    }),
    actions: ["data replace d", "data detach-data-disk d:vdb < replace d"],
    reasons: { "detach-data-disk d:vdb": /vdb is no longer listed; it stays on its host/ },
  },
  {
    name: "a device that is renamed loses its data, and says so twice",
    before: change(OFFICE, {
      d: { image: { disks: [...TWO_DISKS.slice(0, 2), { ...TWO_DISKS[2], source: "x" }] } },
    }),
    after: change(OFFICE, {
      d: {
        parameters: { datadisks: map({ device: "vdc", size: "100MiB" }) },
        image: { disks: [TWO_DISKS[0], { ...TWO_DISKS[1], source: "x" }, TWO_DISKS[2]] },
      },
    }),
    actions: [
      "data create-data-disk d:vdc",
      "data replace d < create-data-disk d:vdc",
      "data detach-data-disk d:vdb < replace d",
    ],
    reasons: { "create-data-disk d:vdc": /it is empty, while the data of d:vdb is let go of/ },
  },
  {
    name: "a component that is renamed: the new one first, the old one to the attic, class data",
    before: OFFICE,
    after: change(OFFICE, { d: undefined, dns: OFFICE["d"]! }),
    actions: [
      "data create-data-disk dns:vdb",
      "data start dns < create-data-disk dns:vdb",
      "data remove d < start dns",
    ],
    reasons: {
      "create-data-disk dns:vdb": /while the data of d:vdb is let go of: to keep them, keep the name/,
    },
  },
  {
    name: "a rename of an empty data disk loses nothing",
    before: OFFICE,
    after: change(OFFICE, { d: undefined, dns: OFFICE["d"]! }),
    facts: { fullDataDisks: new Set() },
    actions: [
      "none create-data-disk dns:vdb",
      "replace start dns < create-data-disk dns:vdb",
      "data remove d < start dns",
    ],
  },
  {
    name: "a component that goes is removed after its users let go of it",
    before: OFFICE,
    after: change(OFFICE, { d: undefined, w: { parameters: { requires: [], greeting: "hi" } } }),
    actions: ["parameters send-parameters w", "data remove d < send-parameters w"],
  },
  {
    name: "everything at once goes in the reverse of the boot order",
    before: OFFICE,
    after: { "": {}, x: {} },
    actions: [
      "replace start x",
      "replace remove w",
      "data remove d < remove w",
      "replace remove f",
      "none remove-segment @external < remove f",
    ],
  },
  {
    name: "an address written in CVL is freed before somebody else takes it",
    before: parameters("d", { "ethernet0.ip": "10.0.7.9" }),
    after: change(OFFICE, {
      d: undefined,
      e: { ...OFFICE["d"], parameters: { provides: "DNS", "ethernet0.ip": "10.0.7.9" }, image: {} },
    }),
    actions: ["data remove d", "replace start e < remove d"],
  },
  {
    name: "who is replaced waits for what it requires",
    before: OFFICE,
    after: change(version2, { d: { version: 4, image: { version: 4 } } }),
    actions: ["replace replace d", "replace replace w < replace d"],
  },
  {
    name: "replicas are replaced one after the other, and one of them is enough for the rest",
    before: change(OFFICE, { e: { ...OFFICE["d"]! } }),
    after: change(OFFICE, {
      d: { version: 4, image: { version: 4 } },
      e: { ...OFFICE["d"]!, version: 4, image: { ...OFFICE["d"]!.image, version: 4 } },
      w: { version: 2, image: { version: 2 } },
    }),
    actions: [
      "replace replace d",
      "replace replace e < replace d",
      "replace replace w < (replace d or replace e)",
    ],
  },
  {
    name: "a replica that stays makes waiting needless",
    before: change(OFFICE, { e: { parameters: { provides: "DNS" } } }),
    after: change(version2, {
      e: { parameters: { provides: "DNS" } },
      d: { version: 4, image: { version: 4 } },
    }),
    actions: ["replace replace d", "replace replace w"],
  },
  {
    name: "a stopped machine is started",
    before: OFFICE,
    after: OFFICE,
    facts: { stopped: new Set(["w"]) },
    actions: ["restart start w"],
    reasons: { "start w": /it is stopped/ },
  },
  {
    name: "only the order of starts changes: a note",
    before: OFFICE,
    after: parameters("f", { requires: "DNS" }),
    actions: ["none note f"],
    reasons: { "note f": /requires: \(unset\) → "DNS" Office\.cvl/ },
  },
  {
    name: "a network that keeps a machine still provides: nobody waits for its users",
    before: LAB,
    after: change(LAB, { "g.b": undefined, c: { parameters: { greeting: "hi" } } }),
    actions: ["parameters send-parameters c", "replace remove g.b"],
  },
  {
    name: "a network that goes waits for its users",
    before: LAB,
    after: { "": {}, c: { parameters: { greeting: "hi" } } },
    actions: [
      "parameters send-parameters c",
      "replace remove g.b < send-parameters c",
      "replace remove g.a < send-parameters c",
      "none remove-segment g < remove g.a, remove g.b",
    ],
  },
  {
    name: "a network inside: those who need it wait for all of it",
    before: null,
    after: {
      "": {},
      g: { kind: "network", parameters: { provides: "lab" } },
      "g.a": {},
      "g.b": {},
      c: { parameters: { requires: "lab" } },
    },
    actions: [
      "none create-segment .",
      "none create-segment g",
      "replace start g.a < create-segment g",
      "replace start g.b < create-segment g",
      "none await g < start g.a, start g.b",
      "replace start c < create-segment ., await g",
    ],
  },
];

for (const { name, before, after, facts, actions, reasons } of CASES) {
  t.test(name, (t) => {
    const plan = diff(before, after, facts);
    t.same(lines(plan), actions);
    for (const [id, pattern] of Object.entries(reasons ?? {})) {
      const action = plan.actions.find((entry) => entry.id === id);
      t.match(
        (action?.reasons ?? [])
          .map(({ text, place }) => `${text}${place === undefined ? "" : ` ${place}`}`)
          .join("\n"),
        pattern,
      );
    }
    t.ok(
      plan.actions.every((action) => action.kind === "await" || action.reasons.length > 0),
      "every action says why",
    );
    assertOrdered(t, plan.actions);
    t.same(plan.refusals, []);
    t.end();
  });
}

t.test("shrinking a data disk is refused, and its disk left alone", (t) => {
  const plan = diff(OFFICE, parameters("d", { datadisks: map({ device: "vdb", size: "50MiB" }) }));
  t.match(plan.refusals, [
    {
      code: "PLAN_DATA_DISK_SHRINKS",
      component: "d",
      message: /vdb of d would shrink from 100 MiB to 50 MiB \(Office\.cvl:\d+\)/,
    },
  ]);
  t.notOk(plan.actions.some((action) => action.kind === "resize-data-disk"));
  t.end();
});

t.test("a blacklisted version is never started, and only mentioned where it runs", (t) => {
  const blacklisted = new Map([["w", "CVE-2026-1"]]);
  t.match(diff(OFFICE, version2, { blacklisted }).refusals, [
    { code: "PLAN_BLACKLISTED", component: "w", message: /CVE-2026-1/ },
  ]);
  const running = diff(OFFICE, parameters("w", { greeting: "hi" }), { blacklisted });
  t.same(running.refusals, []);
  t.match(running.warnings, [{ component: "w", message: /runs a blacklisted version: CVE-2026-1/ }]);
  t.match(diff(OFFICE, OFFICE, { withdrawn: new Map([["d", "loses mail"]]) }).warnings, [
    { component: "d", message: /withdrawn: loses mail/ },
  ]);
  t.end();
});

t.test("a different appliance that inherits a data disk is mentioned", (t) => {
  const plan = diff(
    OFFICE,
    change(OFFICE, { d: { class: "Bind", image: { url: "https://example.org/Bind" } } }),
  );
  t.match(plan.warnings, [{ component: "d", message: /vdb was written by .*DNS and goes to .*Bind/ }]);
  t.end();
});

t.test("the forecast: bytes, memory, addresses, outage with those who depend on it", (t) => {
  const after = change(OFFICE, {
    d: { version: 4, image: { version: 4, memoryMiB: 256 } },
    x: { interfaces: ["ethernet1"] },
  });
  const { forecast } = diff(OFFICE, after, { fetchBytes: new Map([["d", 1000]]) });
  t.same(forecast.fetchBytes, { d: 1000 });
  t.equal(forecast.fetchBytesTotal, 1000);
  t.same(forecast.fetchUnknown, ["x"]);
  t.equal(forecast.memoryBytesChange, (128 + 128) * 1024 * 1024);
  t.equal(forecast.addressesChange, 1, "ethernet1 lies on no segment");
  t.same(forecast.outage, [{ component: "d", dependents: ["w"] }]);
  t.end();
});

t.test("stop: every machine in the reverse of the boot order, nothing is released", (t) => {
  t.same(lines(planStop(makeNetwork(OFFICE))), [
    "restart stop w",
    "restart stop d < stop w",
    "restart stop f",
  ]);
  t.same(lines(planStop(makeNetwork(OFFICE), { stopped: new Set(["w"]) })), [
    "restart stop d",
    "restart stop f",
  ]);
  t.equal(planStop(makeNetwork(OFFICE)).forecast.memoryBytesChange, 0);
  t.end();
});

t.test("stop with replicas: the last one waits for the users", (t) => {
  const network = makeNetwork(change(OFFICE, { e: { parameters: { provides: "DNS" } } }));
  t.same(
    lines(planStop(network)),
    ["restart stop w", "restart stop e", "restart stop d < stop w", "restart stop f"].sort(
      byStop(planStop(network)),
    ),
  );
  t.end();
});

t.test("remove: data to the attic, segments last; start after stop creates no disk twice", (t) => {
  t.same(lines(planRemove(makeNetwork(OFFICE))), [
    "replace remove w",
    "data remove d < remove w",
    "replace remove f",
    "none remove-segment . < remove f, remove d, remove w",
    "none remove-segment @external < remove f",
  ]);
  const again = diffNetworks(null, makeNetwork(OFFICE), { existingDataDisks: new Set(["d:vdb"]) });
  t.notOk(again.actions.some((action) => action.kind === "create-data-disk"));
  t.end();
});

t.test("one component: its actions, what it needs, and nothing else", (t) => {
  const plan = diff(OFFICE, change(version2, { d: { version: 4, image: { version: 4 } }, x: {} }));
  t.same(lines(restrictPlan(plan, "w")), ["replace replace w"]);
  t.same(restrictPlan(plan, "w").forecast.outage, [{ component: "w", dependents: [] }]);
  t.equal(restrictPlan(plan, "nobody").class, "none");
  t.same(restrictPlan(plan, ""), plan, "the root selects everything");
  const start = restrictPlan(diffNetworks(null, makeNetwork(OFFICE)), "d");
  t.same(lines(start), [
    "none create-segment .",
    "none create-data-disk d:vdb",
    "replace start d < create-data-disk d:vdb, create-segment .",
  ]);
  t.same(start.refusals, []);
  const alone = restrictPlan(diffNetworks(null, makeNetwork(OFFICE)), "w");
  t.match(alone.refusals, [
    { code: "PLAN_NEEDS_OTHERS", component: "w", message: /w requires what d provides/ },
  ]);
  t.end();
});

t.test("one component: what stood between two of its actions still orders them", (t) => {
  const spec: NetworkSpec = {
    "": {},
    g: { kind: "network" },
    "g.a": { parameters: { provides: "a" } },
    h: { parameters: { requires: "a", provides: "h" } },
    "g.b": { parameters: { requires: "h" } },
  };
  const next = change(spec, {
    "g.a": { image: { version: 2 } },
    h: { image: { version: 2 } },
    "g.b": { image: { version: 2 } },
  });
  const plan = diff(spec, next);
  t.same(lines(restrictPlan(plan, "g")), ["replace replace g.a", "replace replace g.b < replace g.a"]);
  t.end();
});

t.test("a refusal or warning of another component does not stand in the way", (t) => {
  const plan = diff(
    OFFICE,
    change(version2, { d: { parameters: { datadisks: map({ device: "vdb", size: "1MiB" }) } } }),
    { withdrawn: new Map([["d", "bad"]]) },
  );
  t.equal(plan.refusals.length, 1);
  t.same(restrictPlan(plan, "w").refusals, []);
  t.same(restrictPlan(plan, "w").warnings, []);
  t.equal(restrictPlan(plan, "d").refusals.length, 1);
  t.end();
});

t.test("the input digest is made of contents: the same for equal inputs, another for any change", (t) => {
  const network = makeNetwork(OFFICE);
  const inputs = {
    files: [{ url: null, version: null, commit: null, file: "a.cvl", digest: "00" }],
    policy: { allow: ["x"] },
  };
  const digest = digestInputs(network, inputs);
  t.match(digest, /^[0-9a-f]{64}$/);
  t.equal(digestInputs(makeNetwork(OFFICE), structuredClone(inputs)), digest);
  t.not(digestInputs(network, { ...inputs, policy: { allow: ["y"] } }), digest);
  t.not(digestInputs(network, { ...inputs, files: [{ ...inputs.files[0]!, digest: "01" }] }), digest);
  t.not(digestInputs(makeNetwork(version2), inputs), digest);
  const plan = diffNetworks(null, network, { inputs });
  t.equal(plan.inputDigest, digest);
  t.not(digestPlan(plan, network), digestPlan(plan, null), "the plan digest sees the running side");
  t.equal(
    canonicalJson({ b: 1, a: [undefined, { d: null, c: undefined }] }),
    '{"a":[null,{"d":null}],"b":1}',
  );
  t.end();
});

t.test("for any two networks: order, classes, emptiness, restriction", (t) => {
  fc.assert(
    fc.property(networks(), networks(), (before, after) => {
      const plan = diffNetworks(before, after);
      if (!isOrdered(plan.actions)) return false;
      const rank = (entry: { class: Action["class"] }): number => ACTION_CLASSES.indexOf(entry.class);
      if (rank(plan) !== Math.max(0, ...plan.actions.map(rank))) return false;
      if (diffNetworks(after, after).actions.length > 0 || diffNetworks(null, after).actions.length === 0)
        return false;
      const ids = new Set(plan.actions.map((action) => action.id));
      if (
        ids.size !== plan.actions.length ||
        !plan.actions.every((action) => action.after.every((id) => ids.has(id)))
      )
        return false;
      return Object.keys(after.machines).every((path) => {
        const part = restrictPlan(plan, path);
        return (
          isOrdered(part.actions) && rank(part) <= rank(plan) && part.actions.length <= plan.actions.length
        );
      });
    }),
    { numRuns: 400 },
  );
  t.end();
});

t.test(
  "however the actions are run in parallel, nobody comes up before, or outlives, what it requires",
  (t) => {
    fc.assert(
      fc.property(networks(), networks(), fc.infiniteStream(fc.nat()), (before, after, choices) => {
        const changed = diffNetworks(before, after);
        const order = linearize(changed.actions, choices);
        if (order === undefined || !comesUpServed(order, after)) return false;
        const started = linearize(diffNetworks(null, after).actions, choices);
        if (started === undefined || !comesUpServed(started, after)) return false;
        const stopped = linearize(planStop(before).actions, choices)?.filter(({ kind }) => kind === "stop");
        return (
          stopped?.length === Object.keys(before.machines).length &&
          goesServed(
            stopped.map((action) => action.component),
            before,
          )
        );
      }),
      { numRuns: 400 },
    );
    t.end();
  },
);

t.test("10,000 machines are planned in about a second", (t) => {
  const spec = (version: number): NetworkSpec => {
    const components: Record<string, ComponentSpec> = { "": {} };
    for (let index = 0; index < 10_000; index += 1) {
      const provides = index % 10 === 0 ? [`s${index / 10}`, "all"] : [];
      const requires = index % 10 === 0 ? [] : [`s${Math.floor(index / 10)}`, "all"];
      const changed = index % 3 === 0 ? version : 1;
      components[`m${index + (index % 7 === 0 ? version * 100_000 : 0)}`] = {
        version: changed,
        parameters: { provides, requires, a: "1", b: `${index % 5 === 0 ? version : 0}` },
        image: { version: changed },
      };
    }
    return components;
  };
  const [before, after] = [makeNetwork(spec(1)), makeNetwork(spec(2))];
  const started = process.cpuUsage();
  const plan = diffNetworks(before, after);
  const elapsed = process.cpuUsage(started).user / 1000;
  t.ok(plan.actions.length > 5000);
  t.ok(elapsed < 1500, `${elapsed.toFixed(0)} ms`);
  t.comment(`10,000 machines, ${plan.actions.length} actions in ${elapsed.toFixed(0)} ms of CPU time`);
  assertOrdered(t, plan.actions);
  t.end();
});

/** Some order in which a parallel executor may finish the actions; undefined when it would get stuck. */
function linearize(actions: readonly Action[], choices: fc.Stream<number>): Action[] | undefined {
  const done = new Set<string>();
  const order: Action[] = [];
  let left = [...actions];
  while (left.length > 0) {
    const ready = left.filter((action) => canRun(action, done));
    const next = ready[(choices.next().value ?? 0) % ready.length];
    if (next === undefined) return undefined;
    done.add(next.id);
    order.push(next);
    left = left.filter((action) => action !== next);
  }
  return order;
}

/** Whenever a machine starts, one provider of each of its requirements is whole: no action of its machines is left to do. */
function comesUpServed(order: readonly Action[], after: NetworkDescription): boolean {
  return order.every((action, index) => {
    if (!["start", "replace", "restart"].includes(action.kind)) return true;
    return after.machines[action.component!]!.startsAfter.every(({ anyOf }) =>
      anyOf.some((provider) =>
        machinesBelow(after, provider).every((path) =>
          order.slice(index).every(({ component, kind }) => component !== path || HARMLESS.has(kind)),
        ),
      ),
    );
  });
}

function goesServed(stopped: readonly (string | undefined)[], before: NetworkDescription): boolean {
  return stopped.every((path, index) =>
    before.machines[path!]!.startsAfter.every(({ anyOf }) =>
      anyOf.some((provider) =>
        machinesBelow(before, provider).every((machine) => stopped.indexOf(machine) > index),
      ),
    ),
  );
}

/** Services ordered by name, so that most networks have a boot order; those without are filtered. */
function networks(): fc.Arbitrary<NetworkDescription> {
  const services = fc.uniqueArray(fc.integer({ min: 0, max: 5 }), { maxLength: 2 });
  const machine = fc.record({
    name: fc.constantFrom("a", "b", "c", "e", "g.a", "g.b", "g.c"),
    requires: services,
    provides: services,
    version: fc.integer({ min: 1, max: 2 }),
    value: fc.constantFrom("x", "y"),
    ip: fc.option(fc.integer({ min: 2, max: 5 }), { freq: 3 }),
  });
  return fc
    .uniqueArray(machine, { minLength: 1, maxLength: 7, selector: (entry) => entry.name })
    .chain((machines) => fc.tuple(fc.constant(machines), services))
    .map(([machines, groupProvides]) => {
      const spec: Record<string, ComponentSpec> = { "": {} };
      const provided = new Set([...machines.flatMap((entry) => entry.provides)]);
      if (machines.some((entry) => entry.name.startsWith("g."))) {
        spec["g"] = {
          kind: "network",
          parameters: { provides: groupProvides.map((service) => `s${service}`) },
        };
        for (const service of groupProvides) provided.add(service);
      }
      const taken = new Set<string>();
      for (const { name, requires, provides, version, value, ip } of machines) {
        const key = `${name.startsWith("g.") ? "g" : ""} ${ip ?? ""}`;
        const address = ip === null || taken.has(key) ? {} : { "ethernet0.ip": `10.0.0.${ip}` };
        taken.add(key);
        spec[name] = {
          version,
          parameters: {
            value,
            provides: provides.map((service) => `s${service}`),
            requires: requires.filter((service) => provided.has(service)).map((service) => `s${service}`),
            ...address,
          },
          image: { version },
        };
      }
      return spec;
    })
    .map((spec) => {
      try {
        return makeNetwork(spec);
      } catch {
        return undefined;
      }
    })
    .filter((network) => network !== undefined);
}

function canRun(action: Action, done: ReadonlySet<string>): boolean {
  return (
    action.after.every((id) => done.has(id)) &&
    (action.afterAny ?? []).every((ids) => ids.some((id) => done.has(id)))
  );
}

function isOrdered(actions: readonly Action[]): boolean {
  const done = new Set<string>();
  return actions.every((action) => {
    const ready = canRun(action, done);
    done.add(action.id);
    return ready;
  });
}

function assertOrdered(t: Test, actions: readonly Action[]): void {
  t.ok(isOrdered(actions), "every action stands behind what it waits for");
}

function byStop(plan: Plan): (a: string, b: string) => number {
  const order = lines(plan);
  return (a, b) => order.indexOf(a) - order.indexOf(b);
}
