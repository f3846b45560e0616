import fc from "fast-check";
import t from "tap";
import { condenseNames } from "../../src/plan/condense-names.ts";
import { escapeHtml, escapeName, escapeText, mermaidBlock } from "../../src/plan/escape-markdown.ts";
import { destructiveDigest, isDestructive, type PlannedNetwork } from "../../src/plan/markdown-model.ts";
import { ACTION_KINDS, type ActionKind } from "../../src/plan/action-kinds.ts";
import { actionSchema } from "../../src/plan/plan-schema.ts";
import type { Action, Forecast, Plan } from "../../src/plan/plan.ts";
import { diffNetworks } from "../../src/plan/diff-networks.ts";
import { readPlan } from "../../src/plan/read-plan.ts";
import { renderMermaid } from "../../src/plan/render-mermaid.ts";
import { renderPlanMarkdown } from "../../src/plan/render-markdown.ts";
import { change, makeNetwork, OFFICE } from "../network/fixtures.ts";

const LIMIT = 60_000;

interface Fields extends Pick<Action, "class" | "reasons" | "after"> {
  readonly device: string;
  readonly versions: { readonly from: number | null; readonly to: number | null };
}

function action(kind: ActionKind, component: string, fields: Partial<Fields> = {}): Action {
  const device = fields.device ?? (ACTION_KINDS[kind].subject === "data-disk" ? "vdb" : undefined);
  const id = `${kind} ${component}${device === undefined ? "" : `:${device}`}`;
  const given = { ...fields, ...(device === undefined ? {} : { device }) };
  return actionSchema.parse({ id, kind, class: "none", component, reasons: [], after: [], ...given });
}

function plan(
  actions: readonly Action[],
  fields: Partial<Plan> & { readonly forecast?: Forecast } = {},
): Plan {
  return {
    format: 1,
    appliance: "AcmeOffice",
    class: "data",
    actions,
    forecast: {
      fetchBytes: {},
      fetchBytesTotal: 0,
      fetchUnknown: [],
      memoryBytesChange: 0,
      addressesChange: 0,
      outage: [],
    },
    warnings: [],
    refusals: [],
    inputDigest: "a".repeat(64),
    ...fields,
  };
}

function network(actions: readonly Action[], fields: Partial<PlannedNetwork> = {}): PlannedNetwork {
  return { file: "acme.cvl", plan: plan(actions), ...fields };
}

function headline(text: string): string[] {
  return text.split("\n").slice(
    0,
    text.split("\n").findIndex((line) => !line.startsWith("- ")),
  );
}

const office = [
  action("send-parameters", "f", {
    class: "parameters",
    reasons: [{ text: "domain changed", place: "AcmeOffice.cvl:7" }],
  }),
  action("restart", "d", { class: "restart" }),
  action("replace", "w", {
    class: "replace",
    versions: { from: 1, to: 2 },
    reasons: [{ text: "Web v1 → v2" }],
  }),
  action("remove", "m", { class: "data", reasons: [{ text: "no longer declared" }] }),
  action("start", "n", {}),
  action("await", "g", {}),
];

t.test("a plan in full", (t) => {
  const forecast: Forecast = {
    fetchBytes: { w: 3_000_000 },
    fetchBytesTotal: 3_000_000,
    fetchUnknown: ["n"],
    memoryBytesChange: 2 ** 27,
    addressesChange: 1,
    outage: [{ component: "d", dependents: ["w"] }],
  };
  const warnings = [{ component: "w", message: "Web v2 is withdrawn" }];
  const diagram = 'flowchart TB\n  m0("<b>w</b>"):::replace';
  const text = renderPlanMarkdown([
    { file: "acme.cvl", plan: plan(office, { forecast, warnings }), diagram },
  ]);
  t.same(headline(text), [
    "- **Data**: 1 change puts data aside or touches it: `m`",
    "- **Replaced or removed**: 1 machine: `w`",
    "- **Restarted or stopped**: 1 machine: `d`; 1 machine started",
    "- **Parameters**: 1 machine told new ones, no restart: `f`",
    "- **Out of service meanwhile**: 2 machines: `d`, `w`",
    "- **To fetch**: 2.9 MiB and what 1 machine will need, which nobody counted",
  ]);
  t.match(text, /```mermaid\nflowchart TB\n[^`]*```\n\n<details><summary><code>acme\.cvl<\/code>: /);
  t.match(
    text,
    "- **remove** `m`, class data\n  - `no longer declared`\n- **replace** `w`, v1 → v2, fetch 2.9 MiB, class replace\n  - `Web v1 → v2`",
  );
  t.match(text, "  - `domain changed` `AcmeOffice.cvl:7`");
  t.match(text, "- **warning** `Web v2 is withdrawn`");
  t.match(text, "Memory +128 MiB, addresses +1. Input digest `aaaa");
  t.notMatch(text, "await");
  t.equal(text.match(/<details>/g)?.length, text.match(/<\/details>/g)?.length);
  t.equal(
    renderPlanMarkdown([{ file: "acme.cvl", plan: plan(office, { forecast, warnings }), diagram }]),
    text,
    "the same again",
  );
  t.end();
});

t.test("nothing to do, several networks, networks that cannot be planned", (t) => {
  t.equal(renderPlanMarkdown([network([])]), "- **Nothing to do**: no running network changes.");
  const refusals = [
    { code: "CVL_SYNTAX", severity: "error", message: "w:vdb would shrink", span: undefined, component: "w" },
  ] as const;
  const text = renderPlanMarkdown([
    network(office, { diagram: "flowchart TB\n  m0" }),
    network([]),
    { file: "lab.cvl", plan: plan(office, { refusals }), diagram: "flowchart TB\n  m1" },
    { file: "broken.cvl", plan: null, problems: ["broken.cvl:1:1: expected a name"] },
  ]);
  t.equal(
    headline(text)[0],
    "- **This cannot be applied**: 1 network cannot be planned: `broken.cvl`; 1 change refused",
  );
  t.match(text, "- **Data**: 2 changes put data aside or touch it: `acme.cvl: m`, `lab.cvl: m`");
  t.match(
    text,
    "<code>broken.cvl</code>: cannot be planned</summary>\n\n- `broken.cvl:1:1: expected a name`",
  );
  t.equal(text.match(/<details>/g)?.length, 3, "a network without changes needs no block");
  t.ok(
    text.indexOf("```mermaid") > text.indexOf("<details>"),
    "with several networks each picture is in its block",
  );
  t.end();
});

/** Every kind of line a headline can have. */
function everything(count: number): PlannedNetwork {
  const names = (prefix: string) => Array.from({ length: count }, (_, index) => `${prefix}${index}`);
  const forecast: Forecast = {
    fetchBytes: {},
    fetchBytesTotal: 1,
    fetchUnknown: [],
    memoryBytesChange: 0,
    addressesChange: 0,
    outage: names("d").map((component) => ({ component, dependents: names("x").slice(0, 3) })),
  };
  const refusals = [
    { code: "CVL_SYNTAX", severity: "error", message: "no", span: undefined, component: "w" },
  ] as const;
  const actions = [
    ...names("w").map((name) =>
      action("replace", name, {
        class: "replace",
        versions: { from: 1, to: 2 },
        reasons: [{ text: `because of ${name}` }],
      }),
    ),
    ...names("m").map((name) => action("remove", name, { class: "data" })),
    ...names("d").map((name) => action("restart", name, { class: "restart" })),
    ...names("f").map((name) => action("send-parameters", name, { class: "parameters" })),
    ...names("s").map((name) => action("start", name)),
  ];
  return {
    file: "acme.cvl",
    plan: plan(actions, { forecast, refusals }),
    diagram: `flowchart TB\n${"  m0 --- s0\n".repeat(count)}`,
  };
}

/** Which of the destructive subjects a text names, runs unfolded. */
function namedIn(text: string): Set<string> {
  const names = new Set<string>();
  for (const [, first = "", last] of text.matchAll(/`([^`\n]+)`(?:…`([^`\n]+)` \(\d+\))?/g)) {
    names.add(first);
    const [, prefix = "", from] = /^(.*?)(\d+)$/.exec(first) ?? [];
    const to = /(\d+)$/.exec(last ?? "")?.[1];
    if (from === undefined || to === undefined) continue;
    for (let number = Number(from); number <= Number(to); number += 1)
      names.add(`${prefix}${String(number).padStart(from.length, "0")}`);
  }
  return names;
}

t.test("whatever the size: within the limit, at most eight headlines, every destructive change", (t) => {
  for (const count of [1, 20, 100, 300, 1000, 5000]) {
    const networks = [everything(count)];
    const text = renderPlanMarkdown(networks);
    t.ok(text.length <= LIMIT, `${count}: ${text.length} characters`);
    t.ok(headline(text).length <= 8, `${count}: ${headline(text).length} headlines`);
    const named = namedIn(text);
    const destructive = networks[0]!.plan!.actions.filter(isDestructive);
    t.same(
      destructive.filter(({ component }) => !named.has(component!)),
      [],
      `${count}: all are named`,
    );
    t.notMatch(text, "not shown here");
  }
  t.end();
});

t.test("ten thousand destructive changes with names that cannot be shortened", (t) => {
  const name = (index: number) =>
    `g${index % 7}.${"abcdefghijklmnopqrstuvwxyz".repeat(2)}${(index * 7919).toString(36)}x`;
  const actions = Array.from({ length: 10_000 }, (_, index) =>
    index % 100 === 99
      ? action("remove", name(index), { class: "data" })
      : action("replace", name(index), { class: "replace", versions: { from: 1, to: 2 } }),
  );
  const networks = [network(actions), network(actions, { file: "other.cvl" })];
  const startedAt = performance.now();
  const text = renderPlanMarkdown(networks, {
    wholePlan: "the artifact [collective-plan](https://github.com/acme/site/actions/runs/1)",
  });
  t.comment(`20,000 destructive changes rendered in ${Math.round(performance.now() - startedAt)} ms`);
  t.ok(text.length <= LIMIT, String(text.length));
  t.ok(text.length > LIMIT * 0.95, "the room is used");
  const [, hidden = "0"] =
    /^- \*\*(\d+) more destructive changes not shown here\*\*: the artifact \[collective-plan\]/.exec(text) ??
    [];
  t.ok(headline(text).length <= 8);
  const list = text.slice(text.indexOf("**Destructive changes**"));
  const shown = namedIn(list);
  const entries = [...list.matchAll(/`[^`\n]*x`/g)].length;
  t.equal(entries + Number(hidden), 20_000, "shown and hidden together are all");
  t.ok(shown.size > 0);
  for (let index = 99; index < 10_000; index += 100)
    t.ok(shown.has(name(index)), "all that lose data are shown");
  t.match(text, "2 networks, 20000 destructive changes, 0 others.");
  t.match(text, destructiveDigest(networks));
  t.end();
});

t.test("a limit holds for any plan", (t) => {
  const kind = fc.constantFrom<ActionKind>(
    "replace",
    "remove",
    "detach-data-disk",
    "restart",
    "send-parameters",
    "start",
    "note",
  );
  const text = fc.oneof(fc.string({ maxLength: 30 }), fc.string({ unit: "binary", maxLength: 400 }));
  const actions = fc.array(
    fc.record({
      kind,
      name: text,
      reason: text,
      class: fc.constantFrom("none", "restart", "replace", "data"),
    }),
    { maxLength: 60 },
  );
  const networks = fc.array(fc.record({ file: text, actions, repeat: fc.integer({ min: 1, max: 30 }) }), {
    maxLength: 5,
  });
  fc.assert(
    fc.property(networks, (given) => {
      const planned = given.map(({ file, actions: list, repeat }) => {
        const repeated = Array.from({ length: repeat }, (_, index) =>
          list.map((entry) =>
            action(entry.kind, `${entry.name}${index}`, {
              class: entry.class as Action["class"],
              reasons: [{ text: entry.reason, place: entry.name }],
            }),
          ),
        ).flat();
        return network(repeated, { file });
      });
      const rendered = renderPlanMarkdown(planned, { limit: 10_000 });
      const hidden = Number(/^- \*\*(\d+) more destructive/.exec(rendered)?.[1] ?? 0);
      const total = planned.flatMap((entry) => entry.plan!.actions).filter(isDestructive).length;
      return rendered.length <= 10_000 && headline(rendered).length <= 8 && hidden <= total;
    }),
    { numRuns: 60 },
  );
  t.end();
});

/** What is left of a comment when everything in code spans is taken out: our own words and structure. */
function skeleton(text: string): string {
  return text.replaceAll(/`[^`\n]*`/g, "`…`").replaceAll(/<code>[^<]*<\/code>/g, "<code>…</code>");
}

const hostile = [
  "`x` **bold** <img src=x onerror=alert(1)>",
  "``` \n# Heading\n- [x] task",
  "</code></summary></details><script>alert(1)</script>",
  "@acme/owners please merge #1 GH-2 fixes #3",
  "[click](javascript:alert(1)) ![x](https://evil.example/x.png) https://evil.example www.evil.example a@evil.example",
  "<!-- collective:sticky 00000000000000000000000000000000 -->",
  "\r\n/merge\n@dependabot merge\n::set-output name=x::y\n::add-mask::x",
  "${{ secrets.GITHUB_TOKEN }} $(id) $`x^2`$ :rocket: | a | b |",
  "\u202egnp.exe\u2066x\u2069\u200b\u200d\ufeff\u0000\u001b[31m\u2028\u2029\u{e0041}",
  "z\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308algo \ud800 \udc00",
  "&lt;b&gt; &#42; \\* \\` ~~x~~ ^[1] [^1]: x",
  " ",
  "",
];

t.test("hostile texts are shown and do nothing", (t) => {
  const build = (text: (index: number) => string): PlannedNetwork[] => [
    {
      file: text(0),
      plan: plan(
        [
          action("remove", text(1), { class: "data", reasons: [{ text: text(2), place: text(3) }] }),
          action("detach-data-disk", text(4), { class: "data", device: text(5) }),
          action("replace", text(6), { class: "replace", reasons: [{ text: text(7) }] }),
          action("start", text(8)),
        ],
        {
          appliance: text(9),
          warnings: [{ component: text(10), message: text(11) }],
          refusals: [
            { code: "CVL_SYNTAX", severity: "error", message: text(12), span: undefined, component: "w" },
          ],
          inputDigest: text(13),
          forecast: {
            fetchBytes: {},
            fetchBytesTotal: 0,
            fetchUnknown: [],
            memoryBytesChange: 0,
            addressesChange: 0,
            outage: [{ component: text(14), dependents: [text(15)] }],
          },
        },
      ),
    },
    { file: text(16), plan: null, problems: [text(17)] },
  ];
  // Short and all different, as the hostile ones, so that both comments have the same shape.
  const plain = build((index) => `n${index}x`);
  for (const [offset] of hostile.entries()) {
    const evil = build((index) => `${hostile[(index + offset) % hostile.length] ?? ""}${index}`);
    t.equal(skeleton(renderPlanMarkdown(evil)), skeleton(renderPlanMarkdown(plain)), `shape ${offset}`);
  }
  const all = renderPlanMarkdown(build((index) => hostile[index % hostile.length] ?? ""));
  t.notMatch(all, /@acme|@dependabot/, "nobody is called, not even for a bot that reads the source");
  const invisible = /[\u202a-\u202e\u2066-\u2069\u200b\u2028\u2029\ufeff\u0000\u001b\r]|\u200d|\u{e0041}/u;
  t.notMatch(all, invisible);
  t.notMatch(all, /^(\/|::|#|<!--)/m, "no line of theirs begins one of ours");
  t.equal(Buffer.from(all).toString(), all, "no half characters");
  t.end();
});

t.test("the pieces", (t) => {
  t.equal(escapeName("g.f"), "`g.f`");
  t.equal(escapeName("a`b\nc"), "`a\u02cbb\ufffdc`");
  t.equal(escapeName(""), "`(empty)`");
  t.equal(escapeText("admin@acme.example"), "`admin@acme.example`", "an address is no mention");
  t.equal(escapeText("x".repeat(500)).length, 302);
  t.equal(escapeHtml('<b a="1">&'), "<code>&#60;b a=&#34;1&#34;&#62;&#38;</code>");
  const long = (end: string) => escapeName(`${"x".repeat(200)}${end}${"y".repeat(50)}`);
  t.not(long("a"), long("b"), "shortened names stay different");
  t.ok(long("a").length < 80);
  t.equal(mermaidBlock("a\n```\nb"), "````mermaid\na\n```\nb\n````");
  t.equal(mermaidBlock("a\u202eb"), "```mermaid\na\ufffdb\n```");

  const condensed = (names: readonly string[]) =>
    condenseNames(names).map(({ text, count }) => [text, count]);
  t.same(condensed(["web3", "web1", "web2", "db", "web5"]), [
    ["`db`", 1],
    ["`web1`…`web3` (3)", 3],
    ["`web5`", 1],
  ]);
  const padded = condensed(["w09", "w10", "w08", "w007"]);
  t.same(
    padded.map(([text]) => text),
    ["`w10`", "`w08`", "`w09`", "`w007`"],
    "leading zeros are kept apart",
  );
  const shortened = [1, 2, 3, 4].map((number) => `${"x".repeat(100)}${number}`);
  t.equal(condensed(shortened).length, 4, "shortened names are not folded");
  t.same(condensed(["a1", "a2"]), [
    ["`a1`", 1],
    ["`a2`", 1],
  ]);
  t.same(condensed(["1", "2", "3"]), [["`1`…`3` (3)", 3]]);
  fc.assert(
    fc.property(fc.uniqueArray(fc.stringMatching(/^[a-c]{0,2}[0-9]{0,3}$/), { maxLength: 40 }), (names) => {
      const entries = condenseNames(names);
      const unfolded = namedIn(entries.map(({ text }) => text).join(", "));
      const wanted = new Set(names.map((name) => (name === "" ? "(empty)" : name)));
      return (
        entries.reduce((sum, { count }) => sum + count, 0) === names.length &&
        [...wanted].every((name) => unfolded.has(name)) &&
        unfolded.size === wanted.size
      );
    }),
  );
  t.end();
});

t.test("a plan made by the planner, sent as JSON, with its picture", (t) => {
  const after = makeNetwork(change(OFFICE, { w: { version: 2, image: { version: 2 } } }));
  const made = diffNetworks(makeNetwork(OFFICE), after);
  const read = readPlan(JSON.stringify(made), "plan.json");
  t.same(JSON.parse(JSON.stringify(read)), JSON.parse(JSON.stringify(made)), "nothing is lost");
  const text = renderPlanMarkdown([{ file: "office.cvl", plan: read, diagram: renderMermaid(after, read) }]);
  t.match(text, /^- \*\*Replaced or removed\*\*: 1 machine: `w`\n/);
  t.match(text, /```mermaid\nflowchart TB\n[^`]*:::replace/);
  t.end();
});

t.test("a plan from a stranger is checked before it is believed", (t) => {
  const good = JSON.parse(JSON.stringify(plan(office))) as Record<string, unknown>;
  const refused = (fields: Record<string, unknown>, expected: RegExp) => {
    const json = JSON.stringify({ ...good, ...fields });
    t.throws(
      () => readPlan(json, "plan.json"),
      { code: "INVALID_INPUT", message: expected },
      String(expected),
    );
  };
  refused({ format: 2 }, /plan\.json: expected a plan of format 1, the only one understood/);
  refused({ class: "harmless" }, /class/);
  refused({ actions: [{ ...office[0], kind: "rm -rf" }] }, /actions\.0\.kind/);
  refused({ actions: [{ ...office[0], versions: { from: "<b>", to: 1 } }] }, /versions\.from/);
  refused({ forecast: { fetchBytes: { w: "1" } } }, /forecast/);
  refused({ inputDigest: "`x`" }, /inputDigest/);
  refused({ appliance: "x".repeat(20_000) }, /appliance/);
  t.throws(() => readPlan("{", "plan.json"), { code: "INVALID_INPUT" });
  t.throws(() => readPlan("null", "plan.json"), { code: "INVALID_INPUT" });
  const polluted = JSON.stringify(good).replace('"fetchBytes":{}', '"fetchBytes":{"__proto__":1,"w":2}');
  const read = readPlan(polluted, "plan.json");
  t.equal(Object.getPrototypeOf(read.forecast.fetchBytes), Object.prototype);
  t.end();
});
