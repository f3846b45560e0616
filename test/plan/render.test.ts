/** What people and forges read: golden texts (UPDATE_GOLDEN=1 writes them anew), and strangers' texts escaped. */
import { readFileSync, writeFileSync } from "node:fs";
import t from "tap";
import { diffNetworks, planStop } from "../../src/plan/diff-networks.ts";
import {
  cut,
  formatBytes,
  formatBytesChange,
  formatElements,
  formatVersions,
} from "../../src/plan/format.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { renderDot } from "../../src/plan/render-dot.ts";
import { renderMermaid } from "../../src/plan/render-mermaid.ts";
import { renderSvg } from "../../src/plan/render-svg.ts";
import { renderPlan, summarize } from "../../src/plan/render-terminal.ts";
import { change, makeNetwork, map, OFFICE, unknown, type NetworkSpec } from "../network/fixtures.ts";

/** Graphviz' tags with attributes, its comments and the head of the file. */
const SVG_MARKUP =
  /<\/?(?:g|path|polygon|svg|text|title)(?:\s+[\w:-]+="[^"<>]*")*\s*\/?>|<!--[^<>]*-->|<\?xml[^<>]*\?>|<!DOCTYPE[^<>]*>/g;

/** The groupware of the paper with a lab in it. */
const GROUPWARE: NetworkSpec = change(
  {
    ...OFFICE,
    h: { class: "DHCP", version: 1, parameters: { provides: "DHCP" }, image: { version: 1 } },
    l: {
      class: "OpenLDAP",
      version: 2,
      parameters: { requires: ["DNS", "DHCP"], provides: "LDAP" },
      image: { version: 2 },
    },
    m: {
      class: "Mail",
      version: 4,
      parameters: { requires: ["DNS", "DHCP", "LDAP"] },
      image: { version: 4 },
    },
    p: { class: "AcmePlone", parameters: { requires: ["DNS", "lab"] }, image: { version: 7 } },
    g: {
      kind: "network",
      class: "Lab",
      version: 3,
      parameters: {
        vanIF: "f.ethernet1",
        defaultroute: [unknown("g.f.ethernet0.ip")],
        requires: "DNS",
        provides: "lab",
      },
    },
    "g.f": { class: "Firewall", version: 5, interfaces: ["ethernet1"], image: { version: 5 } },
    "g.b": { class: "Builder", version: 1, image: { version: 1 } },
  },
  { d: { parameters: { requires: "DHCP" } } },
);

const CHANGED: NetworkSpec = change(GROUPWARE, {
  m: undefined,
  w: { version: 2, image: { version: 2, memoryMiB: 256 }, parameters: { greeting: "hi" } },
  d: { parameters: { datadisks: map({ device: "vdb", size: "200MiB" }) } },
  l: { version: 3, image: { version: 3, content: "OpenLDAP v2" } },
  p: { parameters: { title: ["Plone of Acme", "with a title that is far too long for one line of a plan"] } },
  x: { class: "Wiki", version: 1, parameters: { requires: "LDAP" }, image: { version: 1 } },
});

const change1: Plan = diffNetworks(makeNetwork(GROUPWARE), makeNetwork(CHANGED), {
  fetchBytes: new Map([["w", 12_345_678]]),
  withdrawn: new Map([["g.b", "loses data"]]),
  blacklisted: new Map([["x", "CVE-2026-0001"]]),
});

const GOLDEN: Readonly<Record<string, () => string>> = {
  "start.txt": () =>
    renderPlan(
      diffNetworks(null, makeNetwork(OFFICE), {
        fetchBytes: new Map([
          ["f", 0],
          ["d", 1024],
          ["w", 5e9],
        ]),
      }),
    ),
  "stop.txt": () => renderPlan(planStop(makeNetwork(OFFICE))),
  "nothing.txt": () => renderPlan(diffNetworks(makeNetwork(OFFICE), makeNetwork(OFFICE))),
  "change.txt": () => renderPlan(change1),
  "change.json": () => JSON.stringify(change1, undefined, 2),
  "groupware.mmd": () => renderMermaid(makeNetwork(GROUPWARE)),
  "groupware.dot": () => renderDot(makeNetwork(GROUPWARE)),
  "change.mmd": () => renderMermaid(makeNetwork(CHANGED), change1),
  "change.dot": () => renderDot(makeNetwork(CHANGED), change1),
  "machine.mmd": () =>
    renderMermaid(makeNetwork({ "": { kind: "machine", class: "Web", image: { version: 1 } } }, "Solo")),
};

for (const [name, render] of Object.entries(GOLDEN)) {
  t.test(`golden: ${name}`, (t) => {
    const file = `test/golden/plan/${name}`;
    const text = `${render()}\n`;
    if (process.env["UPDATE_GOLDEN"] !== undefined) writeFileSync(file, text);
    t.equal(text, readFileSync(file, "utf8"));
    t.end();
  });
}

const HOSTILE = [
  '"]:::x\n  click m0 "https://evil.example"',
  "%%{init: {'securityLevel': 'loose'}}%%",
  "<script>alert(1)</script><img src=x onerror=alert(1)>",
  '\\"]; evil [URL="https://evil.example" label="\\N',
  "\u001b]0;title\u0007\u001b[2Jgone",
  "\u202Egnp.exe",
  "`code` [link](https://evil.example) **bold**",
  "end",
  "&lt;b&gt; &#60; #60; ]]> --> */",
  "x".repeat(5000),
];

const hostile: NetworkSpec = change(OFFICE, {
  d: { parameters: { provides: ["DNS", ...HOSTILE], domain: HOSTILE } },
  w: { parameters: { requires: HOSTILE, greeting: HOSTILE } },
  f: { parameters: { requires: HOSTILE.slice(2) } },
});

const LABEL = "(?:[A-Za-z0-9 ,._:/-]|#\\d+;)*";
const MERMAID_LINE = new RegExp(
  [
    "^flowchart TB$",
    "^ +end$",
    `^ +subgraph n\\d+\\["${LABEL}"\\]$`,
    `^ +s\\d+(?:\\["${LABEL}"\\]|\\(\\["${LABEL}"\\]\\)):::(?:segment|external)$`,
    `^ +m\\d+\\("<b>${LABEL}</b>(?:<br/>(?:${LABEL}|<i>${LABEL}</i>))*"\\):::\\w+$`,
    `^ +[ms]\\d+ ---(?:\\|"${LABEL}"\\|)? [ms]\\d+$`,
    `^ +[mn]\\d+ -\\. "${LABEL}" \\.-> [mn]\\d+$`,
    "^ +classDef \\w+ [\\w:#,]+$",
  ].join("|"),
);

t.test("hostile names on a terminal: no control character, no endless line", (t) => {
  const plan = diffNetworks(makeNetwork(OFFICE), makeNetwork(hostile), {
    withdrawn: new Map([["d", HOSTILE.join(" ")]]),
    warnings: [{ component: undefined, message: HOSTILE[4]! }],
  });
  const [action, ...rest] = plan.actions;
  const reasons = [{ text: HOSTILE[4]!, place: HOSTILE[5]! }];
  const text = renderPlan({ ...plan, appliance: HOSTILE[4]!, actions: [{ ...action!, reasons }, ...rest] });
  t.notMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
  t.ok(text.split("\n").every((line) => line.length < 600));
  t.match(renderPlan(plan, { colour: true }), /\u001b\[34m> send parameters/);
  t.equal(
    renderPlan(plan, { colour: true }).replace(/\u001b\[\d+m/g, ""),
    renderPlan(plan),
    "colours change no text",
  );
  t.end();
});

t.test("hostile names in Mermaid: labels only, of plain characters and entities", (t) => {
  const text = renderMermaid(makeNetwork(hostile));
  const arrows = text.split("\n").filter((line) => line.includes("-."));
  t.ok(arrows.length > 0);
  for (const line of text.split("\n")) t.match(line, MERMAID_LINE, line.slice(0, 80));
  t.end();
});

t.test("hostile names in DOT and SVG: text and nothing but text", async (t) => {
  const svg = await renderSvg(makeNetwork(hostile));
  t.notMatch(svg.replaceAll(SVG_MARKUP, ""), /[<>]/, "nothing but Graphviz' own tags, attributes quoted");
  t.notMatch(svg, /href|="[^"]*evil|\son\w+=/);
  t.match(svg, "&lt;script&gt;", "it is shown as it is written");
  const shown = await renderSvg(
    makeNetwork(
      change(OFFICE, {
        d: { parameters: { provides: ["DNS", "&lt;"] } },
        w: { parameters: { requires: "&lt;" } },
      }),
    ),
  );
  t.match(shown, "&amp;lt;", "an entity is not decoded");
});

t.test("an SVG is a picture of everything", async (t) => {
  const svg = await renderSvg(makeNetwork(CHANGED), change1);
  const texts = [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map((match) =>
    match[1]?.replaceAll("&#160;", " ").trim(),
  );
  for (const text of [
    "external segment",
    "segment of Office",
    "segment of g",
    "g: Lab v3",
    "gateway",
    "AcmePlone, image v7",
    "[replace]",
    "[remove]",
    "[start]",
    "[restart]",
    "[new parameters]",
    "LDAP",
  ]) {
    t.ok(texts.includes(text), text);
  }
});

t.test("a picture nobody could read is refused", async (t) => {
  const spec: Record<string, object> = { "": {} };
  for (let index = 0; index < 301; index += 1) spec[`m${index}`] = {};
  const network = makeNetwork(spec);
  await t.rejects(renderSvg(network), { code: "GRAPH_TOO_LARGE", hint: /--format dot/ });
  t.equal(
    renderDot(network)
      .split("\n")
      .filter((line) => /^ +m\d+ \[/.test(line)).length,
    301,
  );
});

t.test("the first line has the worst first", (t) => {
  t.equal(
    summarize(change1),
    "1 machine to remove, 1 machine to replace, 1 machine to restart, 1 machine to start, 1 machine to be told new parameters (class replace)",
  );
  t.end();
});

t.test("quantities and values", (t) => {
  t.same([0, 1023, 1024, 1536, 1024 ** 2 * 100, 1024 ** 2 * 123.4, -(1024 ** 3), 5e18].map(formatBytes), [
    "0 B",
    "1023 B",
    "1 KiB",
    "1.5 KiB",
    "100 MiB",
    "123 MiB",
    "-1 GiB",
    "4441 PiB",
  ]);
  t.same([0, 1024, -1024].map(formatBytesChange), ["unchanged", "+1 KiB", "-1 KiB"]);
  t.equal(formatElements([]), "(unset)");
  t.equal(formatElements([`a" b\\`]), String.raw`"a\" b\\"`);
  t.equal(
    formatElements([
      "a",
      unknown("x.ip"),
      { kind: "sensitive", from: ["p"], waitsFor: [], value: "hunter2" },
      { kind: "unset", waitsFor: ["q"] },
    ]),
    '"a", (assigned at start), (sensitive), (unset)',
  );
  t.equal(
    formatElements(Array.from({ length: 50 }, (_, index) => `element${index}`)),
    '"element0", "element1", "element2", "element3", "element4", "element5", … 44 more',
  );
  t.same(
    [
      { from: 1, to: 2 },
      { from: null, to: 2 },
      { from: 1, to: null },
      { from: null, to: null },
    ].map(formatVersions),
    ["v1 → v2", "v2", "v1", ""],
  );
  t.equal(cut("abc", 3), "abc");
  t.equal(cut("abcd", 3), "ab…");
  t.end();
});
