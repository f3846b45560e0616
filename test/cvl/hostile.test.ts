/** Files made to crash, hang or exhaust the process: each gets an answer, and soon. */
import t from "tap";
import { format } from "../../src/cvl/format/format.ts";
import { link } from "../../src/cvl/link/link.ts";
import { parse, parseWithRecovery } from "../../src/cvl/parse/parser.ts";
import { checkProgram } from "../../src/cvl/evaluate/check-program.ts";
import type { ImportResolver, SourceFile } from "../../src/cvl/source.ts";
import type { Diagnostic } from "../../src/diagnostics.ts";
import { amplified } from "./amplified.ts";
import { checkText } from "./fuzz/check-text.ts";
import { evaluateText, linkText, rootFile, valuesOf, treeToJson } from "./programs.ts";

/** A generous bound: the slowest case takes a few seconds on a slow machine, a runaway one never ends. */
const SLOW_MS = 60_000;

t.setTimeout(900_000);

const NO_IMPORTS: ImportResolver = { resolve: () => Promise.reject(new Error("nothing is imported")) };

const repeat = (count: number, make: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => make(index)).join("\n");

/** Codes of the diagnostics of linking and evaluating, without repetition. */
async function codesOf(text: string): Promise<readonly string[]> {
  const startedAt = Date.now();
  const { diagnostics } = await evaluateText(text, {}, { object: "root" });
  t.ok(Date.now() - startedAt < SLOW_MS, "ends soon");
  return [...new Set(diagnostics.map(({ code }) => code))];
}

async function limitOf(text: string): Promise<string> {
  const { diagnostics } = await evaluateText(text, {}, { object: "root" });
  return diagnostics.map(({ code, message }) => `${code}: ${message}`).join("\n");
}

t.test("50,000 components are no trouble", async (t) => {
  const count = 50_000;
  const text = `M extends VMAppliance { var p; p = name; }
    root extends VANAppliance { ${repeat(count, (index) => `M m${index}; m${index}.vm = "x";`)} }`;
  const { tree, diagnostics } = await evaluateText(text, {}, { object: "root" });
  t.same(diagnostics, []);
  t.equal(tree.components.size, count + 1);
  t.same(tree.components.get(`m${count - 1}`)?.parameters.get("p")?.elements, [`m${count - 1}`]);
  t.equal(Object.keys((JSON.parse(treeToJson(tree)) as { components: object }).components).length, count + 1);
});

t.test("maps nested deeper than the limit are one error, however deep", async (t) => {
  for (const depth of [65, 1000, 250_000]) {
    const { diagnostics } = parse(
      `root extends VMAppliance { var a; a = ${"{ a => ".repeat(depth)}"x"${" }".repeat(depth)}; }`,
      "x",
    );
    t.same(
      diagnostics.map(({ code }) => code),
      ["CVL_LIMIT"],
      String(depth),
    );
    t.match(diagnostics[0]?.message, /maps may nest at most 64 deep/);
  }
  const value = await valuesOf(
    `root extends VMAppliance { var a; a = ${"{ a => ".repeat(64)}"x"${" }".repeat(64)}; }`,
  );
  t.match(value("a")?.[0], /^a=a%3D/);
});

t.test("open braces, open strings and open comments without end", (t) => {
  const texts = [
    "{".repeat(2_000_000),
    "a extends b {".repeat(100_000),
    '"'.repeat(1_000_001),
    '"\n\\'.repeat(500_000),
    "/*".repeat(1_000_000),
    "a.".repeat(1_000_000),
    "a=".repeat(500_000),
    ",".repeat(1_000_000),
    "};".repeat(500_000),
    "a{a=".repeat(200_000),
    "import{".repeat(200_000),
    "\\".repeat(1_000_000),
    "\0".repeat(1_000_000),
    "\ud800".repeat(1_000_000),
    "var ".repeat(500_000),
  ];
  for (const text of texts) {
    const startedAt = Date.now();
    const { diagnostics } = parse(text, "x");
    t.ok(diagnostics.length > 0 && diagnostics.length <= 201, JSON.stringify(text.slice(0, 12)));
    t.ok(Date.now() - startedAt < SLOW_MS, "ends soon");
  }
  t.end();
});

t.test("a huge string, name or path is only long", async (t) => {
  const value = await valuesOf(`root extends VMAppliance { var a; a = "${"x".repeat(4_000_000)}"; }`);
  t.equal((value("a")?.[0] as string).length, 4_000_000);
  const name = "n".repeat(255);
  t.same(await codesOf(`root extends VMAppliance { var ${name}; ${name} = "x"; }`), []);
  const { diagnostics } = await linkText(`root extends VMAppliance { ${name} = "x"; }`);
  t.ok((diagnostics[0]?.message.length ?? 0) < 300, "a message shows its beginning only");
  t.match(
    await limitOf(`root extends VMAppliance { var ${name}n; }`),
    /^CVL_LIMIT: a name may have at most 255 characters, this one has 256$/,
  );
  t.match(
    await limitOf(`root extends VMAppliance { var ${"n".repeat(1_000_000)}; }`),
    /at most 255 characters/,
  );
  for (const path of [`${"a.".repeat(300_000)}a`, `${`${"n".repeat(250)} . `.repeat(17)}a`]) {
    t.match(
      await limitOf(`root extends VMAppliance { ${path} = "x"; }`),
      /^CVL_LIMIT: a path may have at most 4096 characters/,
    );
  }
  t.same(await codesOf(`root extends VMAppliance { ${"a.".repeat(2000)}a = "x"; }`), [
    "CVL_UNKNOWN_COMPONENT",
  ]);
});

t.test("NUL and lone surrogates are refused in strings and outside", async (t) => {
  for (const character of ["\0", "\ud800", "\udfff"]) {
    t.same(await codesOf(`root extends VMAppliance { var a; a = "x${character}"; }`), ["CVL_CHARACTER"]);
    t.same(await codesOf(`root extends VMAppliance { ${character} }`), ["CVL_CHARACTER"]);
  }
  t.same(await codesOf(`root extends VMAppliance { var a; a = "\u{1F600}"; }`), []);
});

t.test("circles of every kind", async (t) => {
  const ring = repeat(20_000, (index) => `C${index} extends C${(index + 1) % 20_000} { }`);
  t.same(await codesOf(`${ring} root extends VMAppliance { }`), ["CVL_INHERITANCE_CYCLE"]);
  const chain = repeat(5000, (index) => `N${index} extends VANAppliance { N${(index + 1) % 5000} n; }`);
  t.same(await codesOf(`${chain} root extends VANAppliance { N0 n; }`), ["CVL_CONTAINS_ITSELF"]);
  t.same(await codesOf("root extends VANAppliance { root r; }"), ["CVL_CONTAINS_ITSELF"]);
  const values = repeat(20_000, (index) => `p${index} = p${(index + 1) % 20_000};`);
  const names = Array.from({ length: 20_000 }, (_, index) => `p${index}`).join(",");
  t.same(await codesOf(`root extends VMAppliance { var ${names}; ${values} }`), ["CVL_VALUE_CYCLE"]);
});

t.test("a long line of bases, or of networks in networks, meets its limit", async (t) => {
  const bases = repeat(
    5000,
    (index) => `B${index} extends ${index === 0 ? "VMAppliance" : `B${index - 1}`} { }`,
  );
  t.match(
    await limitOf(`${bases} root extends B4999 { }`),
    /CVL_LIMIT: objects may derive from each other at most 256 deep/,
  );
  const nested = repeat(
    5000,
    (index) => `N${index} extends VANAppliance { ${index === 0 ? "" : `N${index - 1} n;`} }`,
  );
  t.match(
    await limitOf(`${nested} root extends VANAppliance { N4999 n; }`),
    /CVL_LIMIT: networks may nest at most 64 deep/,
  );
});

t.test("networks of ten networks of ten networks … are counted before they are made", async (t) => {
  const ten = (name: string) => Array.from({ length: 10 }, (_, index) => `${name} n${index};`).join(" ");
  const levels = repeat(
    30,
    (index) => `L${index} extends VANAppliance { ${index === 0 ? "" : ten(`L${index - 1}`)} }`,
  );
  t.match(
    await limitOf(`${levels} root extends VANAppliance { L29 n; }`),
    /at most 250000 components, this one has 1\.1+e\+29/,
  );
  t.match(
    await limitOf(`${levels} root extends VANAppliance { L5 n; L5 m; L5 o; }`),
    /at most 250000 components, this one has 333334/,
  );
  const { tree, diagnostics } = await evaluateText(
    `${levels} root extends VANAppliance { L5 n; }`,
    {},
    { object: "root" },
  );
  t.same(diagnostics, []);
  t.equal(tree.components.size, 111_112);
});

t.test("many components with many parameters meet the limit on parameters", async (t) => {
  const names = Array.from({ length: 1000 }, (_, index) => `p${index}`).join(",");
  const text = `M extends VMAppliance { var ${names}; }
    root extends VANAppliance { ${repeat(20_000, (index) => `M m${index};`)} }`;
  t.match(await limitOf(text), /CVL_LIMIT: all components together may have at most 4000000 parameters/);
});

t.test("values that double meet the limit on a value", async (t) => {
  const doubling = (make: (name: string) => string) =>
    repeat(60, (index) => `p${index} = ${index === 0 ? '"x"' : make(`p${index - 1}`)};`);
  const names = Array.from({ length: 60 }, (_, index) => `p${index}`).join(",");
  const limit = /CVL_LIMIT: the value of `p\d+` is too large: a value may have at most 4194304 characters/;
  t.match(
    await limitOf(`root extends VMAppliance { var ${names}; ${doubling((name) => `${name}, ${name}`)} }`),
    limit,
  );
  t.match(
    await limitOf(
      `root extends VMAppliance { var ${names}; ${doubling((name) => `{ a => ${name}, b => ${name} }`)} }`,
    ),
    limit,
  );
  t.match(
    await limitOf(`root extends VMAppliance { var s, p1; s = "x"; ${repeat(60, () => "s = s, s;")} }`),
    /CVL_LIMIT: the value of `s` is too large/,
  );
});

t.test("waiting for many parameters is bounded like any value", async (t) => {
  const count = 20_000;
  const names = Array.from({ length: 40 }, (_, index) => `p${index}`).join(",");
  const all = Array.from({ length: count }, (_, index) => `m${index}.ethernet0.ip`);
  const doubling = repeat(39, (index) => `p${index + 1} = p${index}, p${index};`);
  const text = `M extends VMAppliance { }
    root extends VANAppliance { var ${names}; ${repeat(count, (index) => `M m${index};`)}
    p0 = { ${all.map((path, index) => `k${index} => ${path}`).join(", ")} }; ${doubling} }`;
  t.match(await limitOf(text), /CVL_LIMIT: the value of `p\d+` is too large/);
});

t.test("large values everywhere meet the limit on all values", async (t) => {
  const text = `M extends VMAppliance { var a; a = "${"x".repeat(100_000)}"; }
    root extends VANAppliance { ${repeat(10_000, (index) => `M m${index};`)} }`;
  t.match(
    await limitOf(text),
    /CVL_LIMIT: the values of all parameters may have at most 134217728 characters/,
  );
  const names = Array.from({ length: 5000 }, (_, index) => `q${index}`);
  const lists = `root extends VMAppliance { var a, b, ${names.join(",")}; a = "${"y".repeat(1000)}"; b = ${Array.from({ length: 1000 }, () => "a").join(",")};
    ${names.map((name) => `${name} = b, "z";`).join("\n")} }`;
  t.match(await limitOf(lists), /CVL_LIMIT: the values of all parameters/);
});

t.test("objects whose inherited names multiply meet the limit on names", async (t) => {
  const members = repeat(2500, (index) => `M m${index};`);
  const derived = repeat(2500, (index) => `D${index} extends Base { M extra; }`);
  const text = `M extends VMAppliance { } Base extends VANAppliance { ${members} } ${derived} root extends VMAppliance { }`;
  t.match(await limitOf(text), /CVL_LIMIT: there may be at most 2000000 objects, parameters and components/);
  const assignments = repeat(2500, () => `m.p = m.p, "x";`);
  const again = repeat(2500, (index) => `D${index} extends Base { M m; }`);
  const redeclared = `M extends VMAppliance { var p; } Base extends VANAppliance { M m; ${assignments} } ${again} root extends VMAppliance { }`;
  t.match(await limitOf(redeclared), /CVL_LIMIT: there may be at most 2000000/);
});

t.test("thousands of errors are 200 and one that says so", async (t) => {
  for (const text of [
    `root extends VMAppliance { ${repeat(50_000, (index) => `x${index} = "y";`)} }`,
    `root extends VMAppliance { ${repeat(50_000, () => "vm = ;")} }`,
    repeat(50_000, (index) => `C${index} extends Unknown${index} { }`),
    `root extends VMAppliance { var a; a = ${Array.from({ length: 50_000 }, () => '"\\q"').join(",")}; }`,
    repeat(50_000, () => "@ "),
  ]) {
    const { diagnostics } = await linkText(text);
    t.equal(diagnostics.length, 201);
    t.equal(diagnostics.at(-1)?.code, "CVL_TOO_MANY_ERRORS");
  }
});

t.test("errors in the values of many components are bounded", async (t) => {
  const text = `M extends VMAppliance { var a, b; a = { x => b }; vm = ethernet0.ip; }
    root extends VANAppliance { ${repeat(5000, (index) => `M m${index};`)} }`;
  t.same(await codesOf(text), ["CVL_UTILITY_VALUE", "CVL_MAP_VALUE"].reverse());
});

t.test("imports without end, in number, depth, size or circles", async (t) => {
  const chain = await linkWith(
    (index) => `import { url => "u", cvl => "F.cvl", version => "${index + 1}" } A; B${index} extends A { }`,
  );
  t.match(chain, /CVL_LIMIT: imports may lead at most 64 files deep/);
  const wide = await linkWith((index) =>
    index === 0
      ? repeat(1500, (at) => `import { url => "u", cvl => "F.cvl", version => "${at + 1}" } A${at};`) +
        "root extends VMAppliance { }"
      : "A extends VMAppliance { }",
  );
  t.match(wide, /CVL_LIMIT: a program may have at most 1000 files/);
  const statements = await linkWith((index) =>
    index === 0
      ? repeat(10_001, (at) => `import { url => "u", cvl => "F.cvl" } A${at};`)
      : "A extends VMAppliance { }",
  );
  t.match(statements, /CVL_LIMIT: a program may have at most 10000 imports/);
  const large = await linkWith((index) =>
    index === 0
      ? repeat(20, (at) => `import { url => "u", cvl => "F.cvl", version => "${at + 1}" } A${at};`) +
        "root extends VMAppliance { }"
      : `/*${"x".repeat(20_000_000)}*/ A extends VMAppliance { }`,
  );
  t.match(large, /CVL_LIMIT: a file and its imports may have at most 33554432 characters/);
  const self = await link(rootFile('import { url => "u", cvl => "root.cvl" } R; root extends R { }'), {
    resolve: () =>
      Promise.resolve(rootFile('import { url => "u", cvl => "root.cvl" } R; root extends R { }')),
  });
  t.same(
    self.diagnostics.map(({ code }) => code),
    ["CVL_IMPORT_CYCLE"],
  );
});

/** Links a root whose imports are answered by `make(version)`; the root itself is `make(0)`. */
async function linkWith(make: (index: number) => string): Promise<string> {
  const { program, diagnostics } = await link(rootFile(make(0)), {
    resolve: ({ version = 1 }): Promise<SourceFile> =>
      Promise.resolve({
        source: { url: "u", version, commit: null },
        file: "F.cvl",
        displayName: `u@v${version}:F.cvl`,
        text: make(version),
      }),
  });
  t.equal(program, undefined);
  return diagnostics.map(({ code, message }: Diagnostic) => `${code}: ${message}`).join("\n");
}

t.test("a file over the limit is not read", (t) => {
  const { diagnostics } = parse(" ".repeat(32 * 1024 * 1024 + 1), "x");
  t.match(diagnostics[0], { code: "CVL_LIMIT", message: /a file may have at most 33554432 characters/ });
  t.end();
});

t.test("steps on the way to a value are bounded, not the value alone", async (t) => {
  const limit =
    /CVL_LIMIT: the values of all parameters, with all that are made on the way to them, may have at most 268435456 characters/;
  const times = (count: number, statement: string) =>
    Array.from({ length: count }, () => statement).join(" ");
  t.match(await limitOf(`root extends VMAppliance { var s; ${times(30_000, 's = "x", s;')} }`), limit);
  t.match(
    await limitOf(`root extends VMAppliance { var s; s = "x"; ${times(2000, "s = { a => s };")} }`),
    limit,
  );
  const waits = Array.from({ length: 20_000 }, (_, at) => `r${at}`);
  t.match(
    await limitOf(`root extends VMAppliance { var "required" ${waits.join(",")}; var u, v;
      u = { ${waits.map((name) => `${name} => ${name}`).join(",")} }; v = { ${waits.map((name) => `${name} => u`).join(",")} }; }`),
    limit,
  );
  const large = `B extends VMAppliance { var p, q; p = "${"%".repeat(1_000_000)}"; q = { a => p }; }`;
  const { program } = await link(
    rootFile(`${large} ${repeat(500, (at) => `O${at} extends B { }`)}`),
    NO_IMPORTS,
    {
      object: "B",
    },
  );
  t.match(
    program === undefined ? [] : checkProgram(program).map(({ code, message }) => `${code}: ${message}`),
    [limit],
    "objects of one file share what may be done",
  );
  const deep = `${"{ a => ".repeat(60)}"${"%".repeat(100_000)}"${" }".repeat(60)}`;
  t.match(
    await limitOf(`root extends VMAppliance { var p; p = ${deep}; }`),
    /CVL_LIMIT: the value of `p` is too large: a value may have at most 4194304 characters/,
    "of a constant too",
  );
});

t.test("full paths are bounded, one and all together", async (t) => {
  const names = Array.from({ length: 20 }, (_, at) => `N${at}`);
  const nested = names
    .map(
      (name, at) => `${name} extends VANAppliance { ${at === 0 ? "M" : `N${at - 1}`} ${"n".repeat(230)}; }`,
    )
    .join("\n");
  t.match(
    await limitOf(`M extends VMAppliance { } ${nested} root extends VANAppliance { N19 n; }`),
    /CVL_LIMIT: the full path of a parameter may have at most 4096 characters, the longest here has 4644/,
  );
  const wide = `M extends VMAppliance { } N extends VANAppliance { ${repeat(500, (at) => `M m${at};`)} }`;
  const long = repeat(
    10,
    (at) => `L${at} extends VANAppliance { ${at === 0 ? "N" : `L${at - 1}`} ${"n".repeat(250)}; }`,
  );
  t.match(
    await limitOf(`${wide} ${long} root extends VANAppliance { ${repeat(100, (at) => `L9 l${at};`)} }`),
    /CVL_LIMIT: the full paths of all components together may have at most 67108864 characters, these have 1\d{8}/,
  );
});

t.test("signs are counted: in a file, and in a file and what it imports", async (t) => {
  const limit = /a file may have at most 2097152 names, strings, signs and comments/;
  for (const text of [";".repeat(2_200_000), "/**/".repeat(2_200_000), "a=".repeat(1_100_000)])
    t.match(parse(text, "x").diagnostics.at(-1)?.message, limit, text.slice(0, 4));
  const several = await linkWith((index) =>
    index === 0
      ? repeat(5, (at) => `import { url => "u", cvl => "F.cvl", version => "${at + 1}" } A${at};`) +
        "root extends VMAppliance { }"
      : `A extends VMAppliance { ${"/**/".repeat(500_000)} }`,
  );
  t.match(
    several,
    /CVL_LIMIT: a file and its imports may have at most 2097152 names, strings, signs and comments/,
  );
});

t.test("imports beyond the limits are not fetched", async (t) => {
  let fetched = 0;
  const root = repeat(5000, (at) => `import { url => "u", cvl => "F.cvl", version => "${at + 1}" } A${at};`);
  const { diagnostics } = await link(rootFile(root), {
    resolve: ({ version = 1 }) => {
      fetched += 1;
      const text = "A extends VMAppliance { }";
      const source = { url: "u", version, commit: null };
      return Promise.resolve({ source, file: "F.cvl", displayName: `u@v${version}:F.cvl`, text });
    },
  });
  t.match(diagnostics.at(-1)?.message, /a program may have at most 1000 files/);
  t.ok(fetched < 1100, `${fetched} fetched`);
});

t.test("every construct said again and again has an answer soon", async (t) => {
  // All of them take minutes at the full size.
  const size = process.env["CUI_EXHAUSTIVE"] === "1" ? 200_000 : 40_000;
  for (const { name, text } of amplified(size)) {
    const before = process.threadCpuUsage();
    await t.resolves(checkText(text, { isLarge: true }), name);
    const { user, system } = process.threadCpuUsage(before);
    t.ok((user + system) / 1e3 < SLOW_MS, `${name} ends soon`);
  }
});

t.test("a mistake does not cost a look at all that follows", (t) => {
  const sound = repeat(20_000, (at) => `O${at} extends VMAppliance { vm = "x"; }`);
  const mistakes = repeat(900, (at) => `} X${at} extends VMAppliance { }`);
  parseWithRecovery(sound, "x");
  const cpuOf = (text: string): number => {
    const before = process.threadCpuUsage();
    t.ok(parseWithRecovery(text, "x").file.objects.length > 0);
    return process.threadCpuUsage(before).user;
  };
  const [soundCpu, mistakenCpu] = [cpuOf(sound), cpuOf(`${mistakes}\n${sound}`)];
  t.ok(mistakenCpu < 10 * soundCpu, `${mistakenCpu / 1e6} s, and ${soundCpu / 1e6} s without mistakes`);
  t.end();
});

t.test("formatting a large file takes time in proportion", (t) => {
  const list = Array.from({ length: 20_000 }, (_, index) => `{ key => "${index}" } /* ${index} */`).join(",");
  const text = `root extends VMAppliance { var a; a = ${list}; ${repeat(20_000, (index) => `a = a, "${index}"; // ${index}`)}
}`;
  const startedAt = Date.now();
  const formatted = format(text, "x");
  t.same(formatted.diagnostics, []);
  t.equal(format(formatted.text, "x").text, formatted.text);
  t.ok(Date.now() - startedAt < SLOW_MS, "ends soon");
  t.end();
});
