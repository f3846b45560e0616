import t from "tap";
import { decodeText } from "../../src/cvl/parse/decode-text.ts";
import { link } from "../../src/cvl/link/link.ts";
import { parse } from "../../src/cvl/parse/parser.ts";
import type { ImportRequest } from "../../src/cvl/source.ts";
import { briefly, evaluateText, linkText, resolverOf, rootFile, valuesOf } from "./programs.ts";

const A = "A extends VMAppliance { }";

t.test("the imports of one level are fetched at the same time, those of the next after them", async (t) => {
  const waiting: (() => void)[] = [];
  const asked: string[] = [];
  const root = rootFile(
    'import { url => "a", cvl => "A.cvl" } A; import { url => "b", cvl => "B.cvl" } B; root extends VANAppliance { A a; B b; }',
  );
  const linking = link(root, {
    resolve: async ({ url, cvl }) => {
      asked.push(url);
      await new Promise<void>((resolve) => waiting.push(resolve));
      const inner = url === "c" ? "" : 'import { url => "c", cvl => "C.cvl" } C;';
      const text = `${inner} ${cvl[0] ?? ""} extends ${url === "c" ? "VMAppliance { }" : "VANAppliance { C c; }"}`;
      return { source: { url, version: 1, commit: null }, file: cvl, displayName: `${url}@v1:${cvl}`, text };
    },
  });
  await new Promise(setImmediate);
  t.same(asked, ["a", "b"]);
  for (const resolve of waiting.splice(0)) resolve();
  await new Promise(setImmediate);
  t.same(asked, ["a", "b", "c", "c"], "each importer asks: a relative url means something else for each");
  for (const resolve of waiting) resolve();
  const { program, diagnostics } = await linking;
  t.same(diagnostics, []);
  t.same([...(program?.files.keys() ?? [])].sort(), [
    "<predefined>",
    "a@v1:A.cvl",
    "b@v1:B.cvl",
    "c@v1:C.cvl",
    "root.cvl",
  ]);
});

t.test("the same import of one file is fetched once", async (t) => {
  const requests: ImportRequest[] = [];
  const root =
    rootFile(`${Array.from({ length: 5 }, (_, index) => `import { url => "a", cvl => "A.cvl" } A${index};`).join("\n")}
    root extends VANAppliance { A0 a; A1 b; A2 c; A3 d; A4 e; }`);
  const { program } = await link(root, resolverOf({ "a@1:A.cvl": A }, requests));
  t.ok(program);
  t.equal(requests.length, 1);
  t.match(requests[0], { url: "a", cvl: "A.cvl", version: undefined, from: { displayName: "root.cvl" } });
});

t.test("a resolver that fails for another reason than the user's is passed on", async (t) => {
  const failure = new Error("no network");
  await t.rejects(
    link(rootFile('import { url => "a", cvl => "A.cvl" } A; root extends A { }'), {
      resolve: () => Promise.reject(failure),
    }),
    failure,
  );
});

t.test("an import stands for the file's only object, or the one named like the file", async (t) => {
  const repositories = {
    "a@1:x/Main.cvl": "Helper extends VMAppliance { } Main extends Helper { }",
    "b@1:Other.cvl": "Only extends VMAppliance { }",
  };
  const { tree, diagnostics } = await evaluateText(
    'import { url => "a", cvl => "x/Main.cvl" } M; import { url => "b", cvl => "Other.cvl" } O; root extends VANAppliance { M m; O o; }',
    repositories,
  );
  t.same(diagnostics, []);
  t.equal(tree.components.get("m")?.class, "Main");
  t.same(tree.components.get("m")?.ancestors, ["Main", "Helper"]);
  t.equal(tree.components.get("o")?.class, "Only");
});

t.test("the root object is the only one, the one named like the file, or the one asked for", async (t) => {
  t.equal((await linkText("x extends VMAppliance { }")).program?.object, "x");
  t.equal((await linkText("x extends VMAppliance { } root extends x { }")).program?.object, "root");
  t.equal(
    (await linkText("x extends VMAppliance { } root extends x { }", {}, { object: "x" })).program?.object,
    "x",
  );
  const { program, diagnostics } = await linkText("x extends VMAppliance { }", {}, { object: "y" });
  t.equal(program, undefined);
  t.match(diagnostics, [{ code: "CVL_ROOT_OBJECT", message: /no object `y`/ }]);
});

t.test("warnings do not stop a program", async (t) => {
  const { program, diagnostics } = await linkText(
    'import { url => "a", cvl => "A.cvl" } Unused; root extends VMAppliance { }',
    { "a@1:A.cvl": A },
  );
  t.ok(program);
  t.match(diagnostics, [{ code: "CVL_IMPORT_UNUSED", severity: "warning" }]);
});

t.test("urls and files that git or a file system would misread are refused, others are not", async (t) => {
  const refused = [
    "",
    "-x",
    "--upload-pack=x",
    "ext::sh",
    "fd::17",
    "a\nb",
    "ssh://-x/y",
    "ssh://a@-x/y",
    "git@-x:y",
    "-x@h:y",
    "ftp://x/y",
    "x".repeat(2001),
    "transport::https://x",
  ];
  for (const url of refused) t.same(await codes(url, "A.cvl"), ["CVL_IMPORT_REFUSED"], url.slice(0, 30));
  const taken = [
    "https://example.org/a",
    "a b",
    "ssh://git@example.org/a.git",
    "git@example.org:a/b",
    "file:///srv/a",
    "/srv/a",
    "../a",
    "./a-b",
    "a",
    "example.org:a",
  ];
  for (const url of taken) t.same(await codes(url, "A.cvl"), [], url);
  t.same(await codes("http://example.org/a", "A.cvl"), ["CVL_IMPORT_INSECURE"]);
  const refusedFiles = [
    "",
    "/A.cvl",
    "../A.cvl",
    "a/../../A.cvl",
    "a//A.cvl",
    "./A.cvl",
    ".git/A.cvl",
    "a/.GIT/A.cvl",
    "a\\A.cvl",
    "C:A.cvl",
    "-A.cvl",
    "A.txt",
    "A\tB.cvl",
    "A",
  ];
  for (const file of refusedFiles) t.same(await codes("a", file), ["CVL_IMPORT_REFUSED"], file);
  t.same(await codes("a", "\0.cvl"), ["CVL_IMPORT_REFUSED", "CVL_CHARACTER"]);
  for (const file of ["A.cvl", "a/b c/A.cvl", "ä.cvl", "..a.cvl"]) t.same(await codes("a", file), [], file);
});

async function codes(url: string, cvl: string): Promise<readonly string[]> {
  const quoted = [url, cvl].map((text) => text.replaceAll("\\", "\\\\"));
  const text = `import { url => "${quoted[0] ?? ""}", cvl => "${quoted[1] ?? ""}" } A; root extends VANAppliance { A a; }`;
  const { diagnostics } = await linkText(text, { [`${url}@1:${cvl}`]: A, [`${url}@0:${cvl}`]: A });
  return diagnostics.map(({ code }) => code);
}

t.test("a redeclared component may be another version, also of a base of the new class", async (t) => {
  const repositories = {
    "d@1:D.cvl": "D extends VMAppliance { var p; }",
    "d@2:D.cvl": "D extends VMAppliance { var p, q; }",
    "e@1:E.cvl": 'import { url => "d", cvl => "D.cvl", version => "2" } D; E extends D { var r; }',
    "o@1:D.cvl": "D extends VMAppliance { var p; }",
  };
  const make = (
    imported: string,
  ) => `import { url => "d", cvl => "D.cvl", version => "1" } D; import { ${imported} } X;
    Base extends VANAppliance { D d; d.p = "kept"; } root extends Base { X d; }`;
  for (const imported of ['url => "d", cvl => "D.cvl", version => "2"', 'url => "e", cvl => "E.cvl"']) {
    const { tree, diagnostics } = await evaluateText(make(imported), repositories, { object: "root" });
    t.same(diagnostics, [], imported);
    t.same(tree.components.get("d")?.parameters.get("p")?.elements, ["kept"]);
    t.ok(tree.components.get("d")?.parameters.has("q"));
  }
  const other = await evaluateText(make('url => "o", cvl => "D.cvl"'), repositories, { object: "root" });
  t.same(
    other.diagnostics.map(({ code }) => code),
    ["CVL_REDECLARATION"],
    "the same name in another repository is something else",
  );
});

/** Two versions of a network, and a site that says it is the first, then declares it again as the second. */
const redeclared = (first: string, second: string, site: string): [string, Record<string, string>] => [
  `import { url => "n", cvl => "N.cvl", version => "1" } N; import { url => "n", cvl => "N.cvl", version => "2" } N2; ${site}`,
  { "n@1:N.cvl": first, "n@2:N.cvl": second },
];
const MACHINES = `A extends VMAppliance { var r; r = "va"; } B extends VMAppliance { var r; r = "vb"; }`;

t.test("what a redeclared network has in another order is referred to by name", async (t) => {
  const orders = ["A a; B b;", "B b; A a;", "A c; B b; A a;", "B z; A y; B b; A x; A a;"];
  const inNetwork = (order: string) =>
    `${MACHINES} Inner extends VANAppliance { ${order} } N extends VANAppliance { Inner i; ${order} }`;
  for (const first of orders) {
    for (const second of orders) {
      const [text, repositories] = redeclared(
        inNetwork(first),
        inNetwork(second),
        `Base extends VANAppliance { var x, y, z, m; N n; x = n.a.r; y = n.b.r; z = n.i.a.r, n.i.b.r; m = { k => n.a.r };
           n.a.ethernet0.ip = "10.0.0.1"; n.i.b.r = n.i.b.r, "more"; }
         Mid extends Base { } root extends Mid { N2 n; }
         Both extends VANAppliance { Base one; root two; var x; x = one.n.a.r, two.n.a.r, one.n.i.b.r, two.n.i.b.r; }`,
      );
      for (const object of ["root", "Base"]) {
        const value = await valuesOf(text, repositories, { object });
        t.same(value("x"), ["va"]);
        t.same(value("y"), ["vb"]);
        t.same(value("z"), ["va", "vb", "more"]);
        t.same(value("m"), ["k=va"]);
        t.same(value("n.a.ethernet0.ip"), ["10.0.0.1"]);
        t.same(value("n.i.b.r"), ["vb", "more"]);
      }
      const both = await valuesOf(text, repositories, { object: "Both" });
      t.same(both("x"), ["va", "va", "vb", "more", "vb", "more"]);
    }
  }
});

t.test(
  "a path keeps its meaning when what is a machine in one version is a network in another",
  async (t) => {
    const machine = `I extends VMAppliance { Interface a; } N extends VANAppliance { I i; }`;
    const network = `A extends VMAppliance { var ip, mac; ip = "own"; } I extends VANAppliance { A a; } N extends VANAppliance { I i; }`;
    const site = `Base extends VANAppliance { var x; N n; n.i.a.ip = "assigned"; n.i.a.mac = n.i.a.ip; x = n.i.a.ip, n.i.a.mac; } root extends Base { N2 n; }`;
    for (const [first, second] of [
      [machine, network],
      [network, machine],
    ] as const) {
      const value = await valuesOf(...redeclared(first, second, site), { object: "root" });
      t.same(value("x"), ["assigned", "assigned"]);
      t.same(value("n.i.a.ip"), ["assigned"]);
    }
  },
);

t.test("what a redeclared network lacks, or has as something else, is an error", async (t) => {
  const refer = "Base extends VANAppliance { var x; N n; x = n.a.r; } root extends Base { N2 n; }";
  const lacking = [
    "B extends VMAppliance { var r; } N extends VANAppliance { B b; }",
    "A extends VMAppliance { var s; } N extends VANAppliance { A a; }",
    "A extends VANAppliance { VMAppliance r; } N extends VANAppliance { A a; }",
    "N extends VMAppliance { Interface a; }",
    "N extends VMAppliance { var a; }",
  ];
  for (const second of lacking) {
    const { diagnostics } = await evaluateText(
      ...redeclared(`${MACHINES} N extends VANAppliance { A a; B b; }`, second, refer),
      { object: "root" },
    );
    t.match(
      diagnostics,
      [{ code: /CVL_UNKNOWN_COMPONENT|CVL_UNKNOWN_PARAMETER|CVL_NOT_A_PARAMETER/ }],
      second,
    );
  }
});

t.test("redeclaring a parameter only adds attributes", async (t) => {
  const { tree, diagnostics } = await evaluateText(
    'A extends VMAppliance { var "required" p; var q; p = "x"; } root extends A { var p; var "sensitive" q; var "required" q2; }',
    {},
    { object: "root" },
  );
  t.same(diagnostics, []);
  const parameters = tree.components.get("")?.parameters;
  t.match(parameters?.get("p"), { required: true, sensitive: false, elements: ["x"] });
  t.match(parameters?.get("q"), { required: false, sensitive: true });
});

t.test("one mistake is one error, and statements after it are read", (t) => {
  const text = `root extends VMAppliance {
  var a b;
  a = = "x";
  a = "y" "z";
  vm = "fine";
  a = { k => };
  a = { k "v" }, "w";
  ;
  a = "end"
}
x`;
  const { file, diagnostics } = parse(text, "x");
  t.same(briefly(diagnostics, text), [
    "CVL_SYNTAX 2:8",
    "CVL_SYNTAX 3:7",
    "CVL_SYNTAX 4:10",
    "CVL_SYNTAX 6:14",
    "CVL_SYNTAX 7:11",
    "CVL_SYNTAX 8:3",
    "CVL_SYNTAX 9:12",
    "CVL_SYNTAX 11:2",
  ]);
  t.equal(file.objects.length, 1);
  t.equal(file.objects[0]?.isDamaged, true);
  const unharmed = file.objects[0]?.statements.filter(
    ({ kind, start }) => kind === "assignment" && text.slice(start).startsWith('vm = "fine"'),
  );
  t.equal(unharmed?.length, 1);
  t.end();
});

t.test("in a damaged object unknown names are no further error, elsewhere they are", async (t) => {
  const text =
    'D extends VMAppliance { var = ; } E extends D { p = "x"; } root extends VANAppliance { D d; d.q = "y"; unknown = "z"; }';
  const { diagnostics } = await linkText(text);
  t.same(
    diagnostics.map(({ code }) => code),
    ["CVL_SYNTAX", "CVL_UNKNOWN_PARAMETER"],
  );
});

t.test("text is decoded strictly, and shown anyway", (t) => {
  const encode = (text: string) => new TextEncoder().encode(text);
  t.same(decodeText(encode("fine \u{FFFD} ä"), "x"), { text: "fine \u{FFFD} ä", diagnostics: [] });
  const { text, diagnostics } = decodeText(new Uint8Array([...encode("é\u{FFFD}x"), 0xff, 0x41, 0xfe]), "x");
  t.equal(text, "é\u{FFFD}x\u{FFFD}A\u{FFFD}");
  t.match(diagnostics, [{ code: "CVL_ENCODING", span: { file: "x", start: 3, end: 4 } }]);
  t.same(
    parse("\u{FEFF}root extends VMAppliance { }", "x").diagnostics,
    [],
    "a byte order mark is no character",
  );
  t.end();
});
