import t from "tap";
import { evaluateText, valuesOf } from "./programs.ts";

const DNS = `DNS extends VMAppliance {
  var "required" domain; var port, hosts, "secret";
}`.replace(', "secret"', "");

t.test(
  "the outermost enclosing object wins, then the most derived class, then the last in the body",
  async (t) => {
    const value = await valuesOf(`
    A extends VMAppliance { var p, q, r, s; p = "a1"; p = "a2"; q = "a"; r = "a"; s = "a"; }
    B extends A { q = "b"; r = "b"; s = "b"; }
    Inner extends VANAppliance { B b; b.r = "inner"; b.s = "inner"; }
    root extends VANAppliance { Inner i; i.b.s = "outer"; }`);
    t.same(value("i.b.p"), ["a2"]);
    t.same(value("i.b.q"), ["b"]);
    t.same(value("i.b.r"), ["inner"]);
    t.same(value("i.b.s"), ["outer"]);
  },
);

t.test(
  "a base network's assignment to a component loses against the derived one's, wherever it stands",
  async (t) => {
    const value = await valuesOf(
      `
    D extends VMAppliance { var p, q; q = "own"; }
    Base extends VANAppliance { D d; d.p = "base"; d.q = "base"; }
    root extends Base { d.p = "derived"; }`,
      {},
      { object: "root" },
    );
    t.same(value("d.p"), ["derived"]);
    t.same(value("d.q"), ["base"]);
  },
);

t.test("the right side is evaluated late, in the object that wrote it", async (t) => {
  const value = await valuesOf(
    `
    D extends VMAppliance { var domain, mail; mail = domain; }
    Base extends VANAppliance { var domain; D d; d.domain = domain; domain = "base.org"; }
    root extends Base { domain = "derived.org"; }`,
    {},
    { object: "root" },
  );
  t.same(value("d.domain"), ["derived.org"]);
  t.same(value("d.mail"), ["derived.org"]);
});

t.test("a reference to the assigned parameter itself means its value without the assignment", async (t) => {
  const value = await valuesOf(
    `
    D extends VMAppliance { var s; s = "class"; s = s, "class again"; }
    root extends VANAppliance { D d; d.s = d.s, "outer"; d.s = "first", d.s, "last"; }`,
    {},
    { object: "root" },
  );
  t.same(value("d.s"), ["first", "class", "class again", "outer", "last"]);
  const doubled = await valuesOf(
    `root extends VMAppliance { var s; s = "x"; s = s, s; s = s, "y"; s = s, s; }`,
  );
  t.same(doubled("s"), ["x", "x", "y", "x", "x", "y"]);
  const name = await valuesOf(`root extends VMAppliance { name = name, "alias"; }`);
  t.same(name("name"), ["root", "alias"]);
});

t.test("appending leaves the lists it is made from alone", async (t) => {
  const value = await valuesOf(`root extends VMAppliance {
    var a, b, c;
    b = "1", "2";
    a = b; a = a, "3"; a = a, "4";
    c = b, "x"; c = c, "y"; }`);
  t.same(value("b"), ["1", "2"]);
  t.same(value("a"), ["1", "2", "3", "4"]);
  t.same(value("c"), ["1", "2", "x", "y"]);
});

t.test("a required parameter may append to itself from nothing", async (t) => {
  const value = await valuesOf(`root extends VMAppliance { var "required" s; s = s, "x"; }`);
  t.same(value("s"), ["x"]);
});

t.test("references splice, maps are strings that nest", async (t) => {
  const value = await valuesOf(`root extends VMAppliance {
    var list, twice, map, nested, none;
    list = "a", "b";
    twice = list, none, "c", list;
    map = { a=>"b", c=>"d" };
    nested = { "k ey" => { x => "ä&=", y => map }, z => name, };
  }`);
  t.same(value("twice"), ["a", "b", "c", "a", "b"]);
  t.same(value("map"), ["a=b&c=d"]);
  t.same(value("nested"), ["k%20ey=x%3D%25C3%25A4%2526%253D%26y%3Da%253Db%2526c%253Dd&z=root"]);
});

t.test("what the utility assigns is unknown, and so is all that is made from it", async (t) => {
  const text = `${DNS}
    root extends VANAppliance { DNS d, e; d.hosts = { a => e.ethernet0.ip, m => d.ethernet0.mac, x => "y" }, e.ethernet0.ip, "z";
      e.ethernet0.mac = "02:00:00:00:00:01"; e.hosts = d.hosts; d.domain = "x"; e.domain = "y"; }`;
  const value = await valuesOf(text, {}, { object: "root" });
  t.same(value("d.ethernet0.ip"), [{ unknown: ["d.ethernet0.ip"] }]);
  t.same(value("e.ethernet0.mac"), ["02:00:00:00:00:01"]);
  const hosts = [{ unknown: ["e.ethernet0.ip", "d.ethernet0.mac"] }, { unknown: ["e.ethernet0.ip"] }, "z"];
  t.same(value("d.hosts"), hosts);
  t.same(value("e.hosts"), hosts);
  const assigned = new Map([
    ["e.ethernet0.ip", ["10.0.7.3"]],
    ["d.ethernet0.mac", ["02:00:00:00:00:07"]],
    ["d.ethernet0.defaultroute", []],
    ["e.ethernet0.mac", ["ignored: CVL sets it"]],
  ]);
  const later = await valuesOf(text, {}, { object: "root", assigned });
  t.same(later("e.hosts"), ["a=10%2E0%2E7%2E3&m=02%3A00%3A00%3A00%3A00%3A07&x=y", "10.0.7.3", "z"]);
  t.same(later("d.ethernet0.defaultroute"), []);
  t.same(later("e.ethernet0.mac"), ["02:00:00:00:00:01"]);
});

t.test("an interface parameter set to nothing is the utility's to assign", async (t) => {
  const { tree } = await evaluateText(`root extends VMAppliance { var ip; ethernet0.ip = ip; }`);
  const parameter = tree.components.get("")?.parameters.get("ethernet0.ip");
  t.same(parameter?.elements, [{ kind: "unknown", waitsFor: ["ethernet0.ip"] }]);
  t.equal(parameter?.assigned, null);
});

t.test(
  "a required parameter without a value is unset, and so is a map made from it; an optional one splices nothing",
  async (t) => {
    const value = await valuesOf(
      `${DNS}
    root extends VANAppliance { var "required" domain; var spare; DNS d; d.domain = domain; d.port = spare, "53";
      d.hosts = { domain => d.domain, ip => d.ethernet0.ip }; }`,
      {},
      { object: "root" },
    );
    t.same(value("domain"), []);
    t.same(value("d.domain"), [{ unset: ["domain"] }]);
    t.same(value("d.port"), ["53"]);
    t.same(value("d.hosts"), [{ unset: ["domain", "d.ethernet0.ip"] }]);
  },
);

t.test("sensitivity follows references; the clear value is there once all was supplied", async (t) => {
  const text = `
    L extends VMAppliance { var "sensitive" rootpw; var login, copy; login = { user => "root", pw => rootpw }; copy = login; }
    root extends VANAppliance { var "sensitive" pw; var fixed; var "sensitive" fixed2; L l; l.rootpw = pw; fixed2 = "clear"; fixed = fixed2; }`;
  const value = await valuesOf(text, {}, { object: "root" });
  for (const path of ["pw", "l.rootpw", "l.login", "l.copy", "fixed"])
    t.same(value(path), [{ sensitive: true }], path);
  const { tree } = await evaluateText(text, {}, { object: "root" });
  t.same(tree.components.get("l")?.parameters.get("copy")?.elements, [
    { kind: "sensitive", from: ["l.rootpw", "pw"], waitsFor: ["pw"] },
  ]);
  const supplied = new Map([["pw", ["s3cret!"]]]);
  const later = await evaluateText(text, {}, { object: "root", supplied });
  t.same(later.tree.components.get("l")?.parameters.get("copy")?.elements, [
    { kind: "sensitive", from: ["l.rootpw", "pw"], waitsFor: [], value: "user=root&pw=s3cret%21" },
  ]);
});

t.test("a chain of references may be as long as the file, in any order", async (t) => {
  const count = 20_000;
  const names = Array.from({ length: count }, (_, index) => `p${index}`);
  const chain = names.slice(1).map((name, index) => `p${index} = ${name};`);
  const value = await valuesOf(
    `root extends VMAppliance { var ${names.join(",")}; ${chain.join("\n")} p${count - 1} = "end"; }`,
  );
  t.same(value("p0"), ["end"]);
  const appends = Array.from({ length: count }, (_, index) => `s = s, "${index}";`);
  const list = await valuesOf(`root extends VMAppliance { var s; ${appends.join("\n")} }`);
  t.equal(list("s")?.length, count);
  t.equal(list("s")?.[count - 1], String(count - 1));
});

t.test("a parameter knows where it is declared and which assignment won", async (t) => {
  const text = `D extends VMAppliance { var p; p = "x"; }
root extends VANAppliance {
  D d;
  d.p = "y";
}`;
  const { tree, diagnostics } = await evaluateText(text, {}, { object: "root" });
  t.same(diagnostics, []);
  const d = tree.components.get("d");
  const p = d?.parameters.get("p");
  t.equal(text.slice(p?.declared.start, p?.declared.end), "p");
  t.equal(text.slice(p?.assigned?.start, p?.assigned?.end), 'd.p = "y";');
  t.equal(text.slice(d?.declared.start, d?.declared.end), "d");
  t.equal(d?.parameters.get("vanIF")?.assigned?.file.displayName, "<predefined>");
  t.equal(d?.parameters.get("name")?.assigned, null);
  t.same(d?.ancestors, ["D"]);
  t.same(tree.components.get("")?.children, ["d"]);
  t.same(d?.interfaces, ["ethernet0"]);
});
