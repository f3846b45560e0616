/**
 * Constructs of the language said again and again, up to a wanted size: whatever takes longer than in proportion shows in one of
 * them. Each is a program in which `root` is the object that is evaluated.
 */

/** About `size` characters: `make(n)` for the largest n that fits. */
function upTo(size: number, make: (count: number) => string): string {
  const perItem = Math.max(1, (make(64).length - make(32).length) / 32);
  let count = Math.max(1, Math.floor(size / perItem));
  while (count > 1 && make(count).length > size) count = Math.floor(count * 0.9);
  return make(count);
}

const times = (count: number, make: (at: number) => string, between = " "): string =>
  Array.from({ length: count }, (_, at) => make(at)).join(between);
const machine = (body: string) => `root extends VMAppliance { ${body} }`;
const network = (body: string) => `root extends VANAppliance { ${body} }`;
const half = (count: number) => Math.ceil(count / 2);
const M = 'M extends VMAppliance { var p, q, r, s; vm = "m.vm.yaml"; }';

/** By name; `count` is how often the construct is there. */
const AMPLIFIERS: Readonly<Record<string, (count: number) => string>> = {
  // declarations
  variables: (n) => machine(`var ${times(n, (at) => `v${at}`, ",")};`),
  "variable statements": (n) => machine(times(n, (at) => `var v${at};`)),
  "variables again": (n) => machine(times(n, () => "var vm;")),
  "variables twice": (n) => machine(`var ${times(n, () => "v", ",")};`),
  "unknown attributes": (n) => machine(`var ${times(n, (at) => `"a${at}"`)} v;`),
  interfaces: (n) => machine(`Interface ${times(n, (at) => `i${at}`, ",")};`),
  "interfaces and variables": (n) =>
    machine(
      `Interface ${times(half(n), (at) => `i${at}`, ",")}; var ${times(half(n), (at) => `v${at}`, ",")};`,
    ),
  "interface assignments": (n) =>
    machine(
      `Interface ${times(half(n), (at) => `i${at}`, ",")}; ${times(half(n), (at) => `i${at}.ip = "x";`)}`,
    ),
  "unknown interface parameters": (n) =>
    machine(
      `Interface ${times(half(n), (at) => `i${at}`, ",")}; ${times(half(n), (at) => `i${at}.pi = "x";`)}`,
    ),
  components: (n) => `${M} ${network(times(n, (at) => `M m${at};`))}`,
  "components twice": (n) => `${M} ${network(times(n, () => "M m;"))}`,
  "components of nothing": (n) => network(times(n, (at) => `X${at} m${at};`)),
  "long names": (n) => `${M} ${network(times(n, (at) => `M m${"x".repeat(240)}${at};`))}`,
  objects: (n) => `${times(n, (at) => `O${at} extends VMAppliance { }`)} ${machine("")}`,
  "objects twice": (n) => `${times(n, () => "O extends VMAppliance { }")} ${machine("")}`,
  "a file of objects": (n) => times(n, (at) => `O${at} extends VMAppliance { var v; v = "x", name; }`),
  "derived objects": (n) =>
    `${M} ${times(n, (at) => `O${at} extends ${at % 250 === 0 ? "M" : `O${at - 1}`} { p = "x"; }`)} ${machine("")}`,
  "derived, with variables": (n) =>
    `${M} ${times(n, (at) => `O${at} extends ${at % 250 === 0 ? "M" : `O${at - 1}`} { var v${at}; v${at} = p; }`)} ${machine("")}`,
  "circles of bases": (n) => `${times(n, (at) => `O${at} extends O${(at + 1) % n} { }`)} ${machine("")}`,
  "networks in a circle": (n) =>
    `${times(n, (at) => `N${at} extends VANAppliance { N${(at + 1) % n} a; N0 b; }`)} ${network("N0 n;")}`,
  "networks in networks": (n) =>
    `${M} N0 extends VANAppliance { M m; } ${times(n, (at) => `N${at + 1} extends VANAppliance { N${at % 60} a; }`)} ${network("N60 n;")}`,
  imports: (n) => times(n, (at) => `import { url => "u${at}", cvl => "c.cvl" } I${at};`),
  "import keys": (n) => `import { ${times(n, (at) => `k${at} => "x"`, ",")} } I;`,
  "language versions": (n) => times(n, () => 'CVL = "0.8";'),

  // assignments
  assignments: (n) => machine(`var v; ${times(n, (at) => `v = "${at}";`)}`),
  "unknown parameters": (n) => machine(times(n, (at) => `v${at} = "x";`)),
  "nearly the same names": (n) =>
    machine(
      `var ${times(half(n), (at) => `${"p".repeat(50)}${at}`, ",")}; ${times(half(n), (at) => `${"p".repeat(40)}q${"p".repeat(9)}${at} = "x";`)}`,
    ),
  "unknown components": (n) =>
    `${M} ${network(`${times(half(n), (at) => `M m${at};`)} ${times(half(n), (at) => `n${at}.p = "x";`)}`)}`,
  "assignments to components": (n) =>
    `${M} ${network(`${times(half(n), (at) => `M m${at};`)} ${times(half(n), (at) => `m${at}.p = "x";`)}`)}`,
  "assignments of each other": (n) =>
    `${M} ${network(`${times(half(n), (at) => `M m${at};`)} ${times(half(n), (at) => `m${at}.p = m${at}.q, m${at}.name;`)}`)}`,
  "different parameters of a wide object": (n) => {
    const wide = Math.ceil(Math.sqrt(n));
    return `W extends VMAppliance { var ${times(wide, (at) => `v${at}`, ",")}; } ${network(
      times(half(n), (at) => `W m${at}; ${times(6, (i) => `m${at}.v${(at * 7 + i * 13) % wide} = "x";`)}`),
    )}`;
  },
  "paths through networks": (n) => {
    const path = "n.".repeat(60);
    return `${M} N0 extends VANAppliance { M m; M k; M l; } ${times(60, (at) => `N${at + 1} extends VANAppliance { N${at} n; }`)}
      ${times(Math.min(250, Math.ceil(n / 100)), (at) => `R${at} extends ${at === 0 ? "N60" : `R${at - 1}`} { ${path}m.p = ${path}m.p, "x"; }`)} ${network("R0 r;")}`;
  },
  "many layers over many components": (n) => {
    const layers = Math.min(250, Math.ceil(n / 20));
    return `${M} N extends VANAppliance { ${times(half(n), (at) => `M m${at};`)} }
      ${times(layers, (at) => `D${at} extends ${at === 0 ? "N" : `D${at - 1}`} { m0.p = "x"; m${at}.q = "y"; }`)}
      root extends D${layers - 1} { }`;
  },
  "layers of layers over many components": (n) => {
    const inner = Math.ceil(n / 8);
    let text = `${M} N0 extends VANAppliance { ${times(half(n), (at) => `M m${at};`)} }`;
    let last = "N0";
    let path = "";
    for (let at = 0; at < inner; at += 1) {
      if (at % 200 === 199 && path.length < 100) {
        text += ` H${at} extends VANAppliance { ${last} n; }`;
        last = `H${at}`;
        path = `n.${path}`;
      }
      text += ` L${at} extends ${last} { ${path}m0.p = "x"; }`;
      last = `L${at}`;
    }
    return `${text} root extends ${last} { }`;
  },
  "networks declared again": (n) =>
    `${M} Q extends M { } Base extends VANAppliance { M m; var v; v = ${times(half(n), () => "m.p", ",")}; }
     ${times(Math.ceil(n / 8), (at) => `D${at} extends Base { Q m; }`)} ${network("Base b;")}`,
  "what a component declared again lacks": (n) =>
    `${M} Base extends VANAppliance { M m; ${times(half(n), (at) => `m.x${at} = "x";`)} } ${times(half(n), (at) => `D${at} extends Base { M m; }`)} ${network("Base b;")}`,

  // values
  "a long list": (n) => machine(`var v; v = ${times(n, () => '"x"', ",")};`),
  "a list of references": (n) => machine(`var v, w; w = "x"; v = ${times(n, () => "w", ",")};`),
  appending: (n) => machine(`var s; ${times(n, () => 's = s, "x";')}`),
  prepending: (n) => machine(`var s; ${times(n, () => 's = "x", s;')}`),
  doubling: (n) => machine(`var s; s = "x"; ${times(n, () => "s = s, s;")}`),
  "doubling in a chain": (n) =>
    machine(
      `var ${times(n, (at) => `v${at}`, ",")}; v0 = "x"; ${times(n - 1, (at) => `v${at + 1} = v${at}, v${at};`)}`,
    ),
  "a map of itself": (n) => machine(`var s; s = "x"; ${times(n, () => "s = { a => s };")}`),
  "maps of the one before": (n) =>
    machine(
      `var ${times(n, (at) => `v${at}`, ",")}; v0 = "x"; ${times(n - 1, (at) => `v${at + 1} = { a => v${at}, b => v${at} };`)}`,
    ),
  "a wide map": (n) => machine(`var v; v = { ${times(n, (at) => `k${at} => "x"`, ",")} };`),
  "a map of references": (n) =>
    machine(`var v, w; w = "%"; v = { ${times(n, (at) => `k${at} => w`, ",")} };`),
  "keys twice": (n) => machine(`var v; v = { ${times(n, () => 'k => "x"', ",")} };`),
  "number keys": (n) => machine(`var v; v = { ${times(n, (at) => `"${at * 65536}" => "x"`, ",")} };`),
  "deep maps": (n) =>
    machine(
      `var v; ${times(Math.ceil(n / 64), () => `v = ${"{ a => ".repeat(63)}"%%%%"${" }".repeat(63)};`)}`,
    ),
  "a deep map of a long text": (n) =>
    machine(`var v; v = ${"{ a => ".repeat(63)}"${"%".repeat(n)}"${" }".repeat(63)};`),
  "a chain of references": (n) =>
    machine(`var ${times(n, (at) => `v${at}`, ",")}; ${times(n - 1, (at) => `v${at} = v${at + 1};`)}`),
  "a circle of references": (n) =>
    machine(`var ${times(n, (at) => `v${at}`, ",")}; ${times(n, (at) => `v${at} = v${(at + 1) % n};`)}`),
  "many circles": (n) =>
    machine(
      `var ${times(half(n), (at) => `v${at}`, ",")}; ${times(half(n) - 1, (at) => `v${at} = v${at + 1};`)} v${half(n) - 1} = ${times(half(n), () => "v0", ",")};`,
    ),
  "everything waits for everything": (n) =>
    machine(
      `var "required" ${times(half(n), (at) => `r${at}`, ",")}; var u, v; u = { ${times(half(n), (at) => `k${at} => r${at}`, ",")} }; v = { ${times(half(n), (at) => `a${at} => u`, ",")} };`,
    ),
  "addresses in maps": (n) =>
    `${M} ${network(`${times(half(n), (at) => `M m${at};`)} M m; m.p = { ${times(half(n), (at) => `k${at} => m${at}.ethernet0.ip`, ",")} };`)}`,
  "secrets of secrets": (n) =>
    machine(
      `var "sensitive" ${times(n, (at) => `v${at}`, ",")}; ${times(n - 1, (at) => `v${at + 1} = v${at};`)}`,
    ),
  "a secret list of secrets": (n) =>
    machine(
      `var "sensitive" ${times(half(n), (at) => `v${at}`, ",")}; var "sensitive" w; w = ${times(half(n), (at) => `v${at}`, ",")};`,
    ),
  "a large value in every component": (n) =>
    `M extends VMAppliance { var p, q; p = "${"x".repeat(half(n) * 8)}"; q = { a => p }; } ${network(times(half(n), (at) => `M m${at};`))}`,
  "a large value in every object": (n) =>
    `B extends VMAppliance { var p, q; p = "${"%".repeat(half(n) * 16)}"; q = { a => p }; } ${times(half(n), (at) => `O${at} extends B { }`)}`,

  // text
  comments: (n) => machine(times(n, () => "/**/")),
  "comments between names": (n) => machine(`var ${times(n, (at) => `/*${at}*/ v${at} // ${at}\n`, ",")};`),
  "line comments": (n) => machine(times(n, () => "//\n")),
  "line ends": (n) => `${"\n".repeat(n)}${machine(times(250, (at) => `x${at} = "y";`, "\n"))}`,
  "escapes in a string": (n) => machine(`var v; v = "${'\\"'.repeat(n)}";`),
  "wrong escapes": (n) => machine(`var v; v = "${"\\q".repeat(n)}";`),
  "strings over lines": (n) => machine(`var v; v = ${times(n, () => '"\n\n"', ",")};`),
  "an open string": (n) => machine(`var v; v = "x; ${'\\"'.repeat(n)}\n${'\\"'.repeat(n)}`),
  equals: (n) => "=".repeat(n),
  "open braces": (n) => "{".repeat(n),
  "closing braces": (n) => "}".repeat(n),
  "statements without an end": (n) => machine(times(n, () => "vm = ")),
  "objects without an end": (n) => times(n, (at) => `O${at} extends VMAppliance {`),
  "mistakes before sound statements": (n) =>
    machine(`var v; ${times(190, () => "v = ;")} ${times(n, () => 'v = "x";')}`),
  "mistakes before sound objects": (n) =>
    `${times(190, (at) => `X${at} extends VMAppliance { vm = ; }`)} ${times(n, (at) => `O${at} extends VMAppliance { }`)}`,
  "a path without end": (n) => machine(`vm = ${"a.".repeat(n)}a;`),
  "foreign characters": (n) => machine("\u{1F600}".repeat(half(n))),

  // networks
  "a chain of requirements": (n) =>
    `${M} ${network(times(n, (at) => `M m${at}; m${at}.provides = "s${at}"; m${at}.requires = "s${at + 1}";`))}`,
  "a circle of requirements": (n) =>
    `${M} ${network(times(n, (at) => `M m${at}; m${at}.provides = "s${at}"; m${at}.requires = "s${(at + 1) % n}";`))}`,
  "requirements of all": (n) =>
    `${M} ${network(`${times(half(n), (at) => `M m${at};`)} requires = ${times(half(n), (at) => `"s${at}"`, ",")}; m0.provides = requires;`)}`,
  "all require all": (n) =>
    `M extends VMAppliance { vm = "x"; requires = ${times(half(n), (at) => `"s${at}"`, ",")}; provides = requires; } ${network(times(half(n), (at) => `M m${at};`))}`,
  "wrong vanIF": (n) => `${M} ${network(times(n, (at) => `M m${at}; m${at}.vanIF = "x${at}";`))}`,
  "interfaces on no segment": (n) =>
    `X extends VMAppliance { Interface i; vm = "x"; } ${network(times(n, (at) => `X m${at};`))}`,
  "data disks": (n) =>
    machine(`vm = "x"; datadisks = ${times(n, (at) => `{ device => "d${at}", size => "1" }`, ",")};`),
  "one address for all": (n) =>
    `${M} ${network(times(n, (at) => `M m${at}; m${at}.ethernet0.ip = "10.0.0.1";`))}`,
  "subnets that meet": (n) =>
    `M extends VMAppliance { vm = "x"; ethernet0.subnet = "10.0.0.0"; ethernet0.netmask = "255.0.0.0"; } N extends VANAppliance { M m; } ${network(times(n, (at) => `N n${at};`))}`,
};

export interface AmplifiedProgram {
  readonly name: string;
  readonly text: string;
}

/** Every construct, as often as fits into about `size` characters. */
export function* amplified(size: number): Iterable<AmplifiedProgram> {
  for (const [name, make] of Object.entries(AMPLIFIERS)) yield { name, text: upTo(size, make) };
}
