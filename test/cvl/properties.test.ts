import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import t from "tap";
import { evaluate } from "../../src/cvl/evaluate/evaluate.ts";
import { format } from "../../src/cvl/format/format.ts";
import { link } from "../../src/cvl/link/link.ts";
import { decodeMap, encodeMap } from "../../src/cvl/map-text.ts";
import { nearestName } from "../../src/cvl/nearest.ts";
import { parse, parseWithRecovery } from "../../src/cvl/parse/parser.ts";
import { renderDiagnostic } from "../../src/diagnostics.ts";
import { decodeText } from "../../src/cvl/parse/decode-text.ts";
import { comments, withoutPlaces } from "./fuzz/check-text.ts";
import { resolverOf, rootFile, treeToJson } from "./programs.ts";

t.setTimeout(300_000);

/** A character that UTF-8 can hold. */
const text = fc.string({ unit: "binary", maxLength: 12 }).filter((value) => value.isWellFormed());

t.test("a map's text decodes to the map", (t) => {
  const pairs = fc.uniqueArray(fc.tuple(text, text), {
    selector: ([key]) => key,
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(pairs, (entries) => {
      const encoded = encodeMap(entries);
      assert.match(encoded, /^[A-Za-z0-9%=&]*$/);
      assert.deepEqual([...(decodeMap(encoded) ?? [])], entries);
    }),
  );
  for (const wrong of ["", "a", "a=b=c", "a=%", "a=%4", "a=%ff", "a=%FF", "a=b&a=c", "a=b&", "a b=c"]) {
    t.equal(decodeMap(wrong), undefined, wrong);
  }
  t.end();
});

/** A program as text: any layout, any comments, every construct. */
const name = fc.constantFrom("a", "b1", "C_c", "domain", "ethernet0", "vm");
const blank = fc.constantFrom(
  " ",
  "\n",
  "\n\n\n",
  "\t",
  "",
  "",
  "",
  " // line\n",
  "/* block */",
  "\n/* two\nlines */\n",
  "/* a */ /* b */\n",
  "\n// own line\n",
  ...Array.from({ length: 6 }, (_, at) => ` /* ${at} */ `),
  ...Array.from({ length: 3 }, (_, at) => `\n/* ${at}\n${"long ".repeat(at * 9)} */`),
  ...Array.from({ length: 3 }, (_, at) => ` // ${at} ${"long ".repeat(at * 9)}\n`),
);
const literal = fc.constantFrom(
  '""',
  '"x"',
  '"two words"',
  '"a\\nb"',
  '"q\\"\\\\"',
  '"€ 𝄞"',
  '"two\nlines"',
  `"${"long ".repeat(12)}"`,
  `"${"long ".repeat(18)}\nshort"`,
  `"short\n${"long ".repeat(18)}"`,
  `"${"x".repeat(85)}"`,
);
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join("."));
const joined = (parts: fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
  fc.tuple(...parts.flatMap((part) => [blank, part])).map((texts) => texts.join(""));
const sign = (character: string) => fc.constant(character);
const listOf = (part: fc.Arbitrary<string>, maxLength = 4): fc.Arbitrary<string> =>
  fc
    .array(joined([part]), { minLength: 1, maxLength })
    .chain((parts) => blank.map((gap) => parts.join(`${gap},`)));

const { value } = fc.letrec<{ value: string; pair: string; map: string }>((tie) => ({
  value: fc.oneof({ depthSize: "small", withCrossShrink: true }, literal, path, tie("map")),
  pair: joined([fc.oneof(name, literal), sign("=>"), tie("value")]),
  map: fc
    .tuple(listOf(tie("pair"), 3), fc.constantFrom("", ",", " , "))
    .chain(([pairs, comma]) => joined([sign("{"), sign(pairs + comma), sign("}")])),
}));
const statement = fc.oneof(
  joined([
    sign("var "),
    fc.constantFrom("", '"required"', '"required" "sensitive"'),
    listOf(name),
    sign(";"),
  ]),
  joined([name.map((text) => `${text} `), listOf(name), sign(";")]),
  joined([path, sign("="), listOf(value), sign(";")]),
);
const object = joined([
  name.map((text) => `${text} `),
  sign("extends "),
  name,
  sign("{"),
  fc.array(statement, { maxLength: 5 }).map((parts) => parts.join("")),
  sign("}"),
]);
const importStatement = joined([sign("import"), sign('{ url => "u", cvl => "c.cvl" }'), name, sign(";")]);
const program = fc
  .array(fc.oneof(object, importStatement, joined([sign("CVL"), sign("="), literal, sign(";")])), {
    maxLength: 5,
  })
  .chain((items) => blank.map((end) => items.join("") + end));

t.test("formatting keeps the tree and every comment, and formatting again changes nothing", (t) => {
  fc.assert(
    fc.property(program, (source) => {
      const before = parse(source, "x");
      if (before.diagnostics.length > 0)
        throw new Error(`generated a wrong program: ${before.diagnostics[0]?.message ?? ""}`);
      const formatted = format(source, "x").text;
      const after = parse(formatted, "x");
      assert.deepEqual(after.diagnostics, [], formatted);
      assert.deepEqual(withoutPlaces(after.file), withoutPlaces(before.file));
      assert.deepEqual(comments(after.file), comments(before.file));
      assert.equal(format(formatted, "x").text, formatted);
    }),
    { numRuns: 1500 },
  );
  t.end();
});

t.test(
  "the fast path and the error-recovering parser make the same tree, and find the same texts wrong",
  (t) => {
    const sameTree = (source: string): void => {
      assert.deepEqual(parse(source, "x"), parseWithRecovery(source, "x"), source);
    };
    fc.assert(fc.property(program, sameTree), { numRuns: 300 });
    const pieces = [
      "{",
      "}",
      ",",
      ";",
      ".",
      "=",
      "=>",
      '"',
      "var",
      "extends",
      "import",
      "x",
      '"y"',
      "//",
      "/*",
      "",
    ];
    let wrong = 0;
    fc.assert(
      fc.property(program, fc.nat(), fc.nat(2), fc.constantFrom(...pieces), (source, at, length, piece) => {
        const from = source.length === 0 ? 0 : at % source.length;
        const spoiled = `${source.slice(0, from)}${piece}${source.slice(from + length)}`;
        if (parseWithRecovery(spoiled, "x").diagnostics.length > 0) wrong += 1;
        sameTree(spoiled);
      }),
      { numRuns: 600 },
    );
    t.ok(wrong > 100, `${wrong} wrong texts`);
    for (const name of readdirSync("test/golden/cvl", { recursive: true, encoding: "utf8" })) {
      if (name.endsWith(".cvl")) sameTree(readFileSync(join("test/golden/cvl", name), "utf8"));
    }
    t.end();
  },
);

/** Runs everything on `source` as `cui check` would; throws only for a defect. */
async function runAll(source: string): Promise<void> {
  const { program: linked, diagnostics } = await link(
    rootFile(source),
    resolverOf({ "u@1:c.cvl": "A extends VMAppliance { }" }),
  );
  const all = linked === undefined ? diagnostics : [...diagnostics, ...evaluate(linked).diagnostics];
  for (const diagnostic of all) renderDiagnostic(diagnostic, () => source);
  if (linked !== undefined) JSON.parse(treeToJson(evaluate(linked).tree));
  format(source, "root.cvl");
}

t.test("random bytes never throw", async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
      await runAll(decodeText(bytes, "x").text);
    }),
    { numRuns: 500 },
  );
  t.pass();
});

const token = fc.constantFrom(
  "import",
  "var",
  "extends",
  "{",
  "}",
  "{",
  "}",
  ",",
  ";",
  ";",
  "=",
  "=>",
  ".",
  '"x"',
  '"',
  "\\",
  "//",
  "/*",
  "*/",
  "\n",
  "a",
  "b",
  "VMAppliance",
  "VANAppliance",
  "Interface",
  "CVL",
  '"0.8"',
  "@",
  "é",
  "\0",
  "\ud800",
  "a extends VANAppliance {",
  "var a;",
  "a = a;",
  '"required"',
);

t.test("random token soup never throws", async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(token, { maxLength: 60 }), async (tokens) => {
      await runAll(tokens.join(" "));
      await runAll(tokens.join(""));
    }),
    { numRuns: 1500 },
  );
  t.pass();
});

t.test(
  "a program with random damage never throws, and damage is never silent when it breaks the syntax",
  async (t) => {
    await fc.assert(
      fc.asyncProperty(program, fc.nat(), fc.nat(20), token, async (source, at, length, put) => {
        const start = at % (source.length + 1);
        await runAll(source.slice(0, start) + put + source.slice(start + length));
      }),
      { numRuns: 600 },
    );
    t.pass();
  },
);

const small = fc.constantFrom("p0", "p1", "p2", "p3", "m.q", "n.q", "n.m.q", "ethernet0.ip");

t.test("random programs of references evaluate, or say which circle they have", async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.tuple(
          small,
          fc.array(fc.oneof(small, fc.constantFrom('"x"', "{ k => p0 }")), { minLength: 1, maxLength: 3 }),
        ),
        { maxLength: 8 },
      ),
      async (assignments) => {
        const body = assignments
          .filter(([target]) => target !== "ethernet0.ip")
          .map(
            ([target, values]) =>
              `${target} = ${values.filter((entry) => entry !== "ethernet0.ip").join(", ") || '"y"'};`,
          )
          .join("\n");
        const source = `M extends VMAppliance { var q, r; r = q; } N extends VANAppliance { var q; M m; m.q = q; }
          root extends VANAppliance { var p0, p1, p2, p3; M m; N n; ${body} }`;
        await runAll(source);
      },
    ),
    { numRuns: 500 },
  );
  t.pass();
});

t.test("the nearest name is a near one", (t) => {
  t.equal(nearestName("domian", ["name", "domain", "vm"]), "domain");
  t.equal(nearestName("Domain", ["domain"]), "domain");
  t.equal(nearestName("xyz", ["domain"]), undefined);
  t.equal(nearestName("x".repeat(100), ["x".repeat(99)]), undefined);
  fc.assert(
    fc.property(fc.string(), fc.array(fc.string()), (wanted, candidates) => {
      const found = nearestName(wanted, candidates);
      assert.ok(found === undefined || candidates.includes(found));
    }),
  );
  t.end();
});
