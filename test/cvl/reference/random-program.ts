/** Programs at random, with few names, so that they meet: bases, versions, components declared again, circles, secrets. */
import type { Expression, Import, Program, ProgramFile, ProgramObject, Statement } from "./program.ts";

/** Numbers from 0 up to `limit`, the same for the same seed. */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  below(limit: number): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }

  isTrue(chances: number, of: number): boolean {
    return this.below(of) < chances;
  }

  pick<Value>(values: readonly Value[]): Value {
    const value = values[this.below(values.length)];
    if (value === undefined) throw new Error("there is nothing to choose from");
    return value;
  }

  shuffle<Value>(values: readonly Value[]): Value[] {
    const shuffled = [...values];
    for (let at = shuffled.length - 1; at > 0; at -= 1) {
      const other = this.below(at + 1);
      [shuffled[at], shuffled[other]] = [shuffled[other]!, shuffled[at]!];
    }
    return shuffled;
  }
}

export interface RandomProgram {
  readonly program: Program;
  readonly assigned: ReadonlyMap<string, readonly string[]>;
  readonly supplied: ReadonlyMap<string, readonly string[]>;
}

/** What is declared in an object, inherited names included. */
interface Shape {
  readonly name: string;
  readonly kind: "machine" | "network";
  /** Itself and its bases, each by the repository, file and name that make it what it is. */
  readonly origins: readonly string[];
  readonly parameters: ReadonlySet<string>;
  readonly interfaces: ReadonlySet<string>;
  readonly components: ReadonlyMap<string, Shape>;
  /** Of an instance, itself included. */
  readonly size: number;
}

const OF_MACHINES = ["name", "requires", "provides", "vanIF", "vm", "datadisks"];
const OF_NETWORKS = ["name", "requires", "provides", "vanIF", "defaultroute"];
const OF_INTERFACES = ["mac", "ip", "subnet", "netmask", "defaultroute"];
const PARAMETERS = ["a", "b", "c", "d"];
const COMPONENTS = ["m", "n", "o"];
const TEXTS = ["", "x", "y z", "ä€", 'q"\\', "%&=", "1\n2"];
const MAX_SIZE = 60;

const MACHINE: Shape = {
  name: "VMAppliance",
  kind: "machine",
  origins: [],
  parameters: new Set(OF_MACHINES),
  interfaces: new Set(["ethernet0"]),
  components: new Map(),
  size: 1,
};
const NETWORK: Shape = {
  ...MACHINE,
  name: "VANAppliance",
  kind: "network",
  parameters: new Set(OF_NETWORKS),
  interfaces: new Set(),
};

/** The same for the same seed. */
export function randomProgram(seed: number): RandomProgram {
  const random = new Random(seed);
  const files = new Map<string, ProgramFile>();
  const imports: Import[] = [];
  const shapes: Shape[] = [];
  for (const url of ["u", "v"].slice(0, random.below(3))) {
    for (const { version, file, shape } of versionsOf(random, url)) {
      files.set(`${url}@${version}:C.cvl`, file);
      const name = `${url.toUpperCase()}${version}`;
      imports.push({ url, cvl: "C.cvl", version, name });
      shapes.push({ ...shape, name });
    }
  }
  const objects: ProgramObject[] = [];
  const count = 2 + random.below(5);
  for (let at = 0; at < count; at += 1) {
    const made = randomObject(random, { name: `O${at}`, place: "root", shapes });
    objects.push(made.object);
    shapes.push(made.shape);
  }
  const last = shapes.at(-1);
  if (last === undefined) throw new Error("a program has an object");
  const program: Program = { files, root: { imports, objects: random.shuffle(objects) }, object: last.name };
  return { program, ...randomOptions(random, last) };
}

/** One to three versions of a file: the same names in other orders, with other values and bodies. */
function versionsOf(
  random: Random,
  url: string,
): { readonly version: number; readonly file: ProgramFile; readonly shape: Shape }[] {
  const helper = randomObject(random, { name: "K", place: url, shapes: [] });
  const main = randomObject(random, { name: "C", place: url, shapes: [helper.shape], base: NETWORK });
  return Array.from({ length: 1 + random.below(4) }, (_, at) => {
    const objects = [helper, main].map(({ object, shape }) => ({
      ...object,
      statements: random.shuffle(
        object.statements.flatMap((statement): Statement[] => {
          if (statement.kind === "component")
            return [{ ...statement, names: random.shuffle(statement.names) }];
          if (statement.kind === "var") return [{ ...statement, attributes: randomAttributes(random) }];
          return random.isTrue(1, 2) ? [randomAssignment(random, shape)] : [statement];
        }),
      ),
    }));
    return { version: at + 1, file: { imports: [], objects }, shape: main.shape };
  });
}

interface ObjectPlan {
  readonly name: string;
  readonly place: string;
  /** What it may derive from and consist of. */
  readonly shapes: readonly Shape[];
  readonly base?: Shape;
}

function randomObject(
  random: Random,
  { name, place, shapes, ...plan }: ObjectPlan,
): { readonly object: ProgramObject; readonly shape: Shape } {
  const recent = shapes.slice(-3);
  const base = plan.base ?? random.pick([MACHINE, NETWORK, NETWORK, ...shapes, ...recent, ...recent]);
  const statements: Statement[] = [];
  const parameters = new Set(base.parameters);
  const declared = PARAMETERS.filter(() => random.isTrue(1, 2));
  for (const parameter of declared) {
    parameters.add(parameter);
    statements.push({ kind: "var", attributes: randomAttributes(random), names: [parameter] });
  }
  const interfaces = new Set(base.interfaces);
  if (base.kind === "machine" && !interfaces.has("e") && random.isTrue(1, 4)) {
    interfaces.add("e");
    statements.push({ kind: "component", class: "Interface", names: ["e"] });
  }
  const components = new Map(base.components);
  if (base.kind === "network") declareComponents(random, { shapes, components, statements });
  const size = 1 + [...components.values()].reduce((sum, inner) => sum + inner.size, 0);
  const origins = [`${place}:${name}`, ...base.origins];
  const shape: Shape = { name, kind: base.kind, origins, parameters, interfaces, components, size };
  const assignments = Array.from({ length: 1 + random.below(6) }, () => randomAssignment(random, shape));
  const object = { name, base: base.name, statements: random.shuffle([...statements, ...assignments]) };
  return { object, shape };
}

function randomAttributes(random: Random): string[] {
  return [...(random.isTrue(1, 4) ? ["required"] : []), ...(random.isTrue(1, 8) ? ["sensitive"] : [])];
}

/** New components, and inherited ones again: of what derives from theirs, or of another version. */
function declareComponents(
  random: Random,
  {
    shapes,
    components,
    statements,
  }: {
    readonly shapes: readonly Shape[];
    readonly components: Map<string, Shape>;
    readonly statements: Statement[];
  },
): void {
  for (const name of COMPONENTS) {
    const inherited = components.get(name);
    const size = [...components.values()].reduce((sum, inner) => sum + inner.size, 0);
    const [own] = inherited?.origins ?? [];
    const imported = shapes.filter(({ origins }) => origins[0]?.startsWith("root:") === false);
    const fitting = [MACHINE, ...shapes, ...imported].filter(
      (shape) =>
        shape.size + size < MAX_SIZE &&
        (inherited === undefined || (own !== undefined && shape.origins.includes(own))),
    );
    if (fitting.length === 0 || !random.isTrue(2, 3)) continue;
    const chosen = random.pick(fitting);
    components.set(name, chosen);
    statements.push({ kind: "component", class: chosen.name, names: [name] });
  }
}

function randomAssignment(random: Random, shape: Shape): Statement {
  const values = Array.from({ length: 1 + random.below(random.below(3) + 1) }, () =>
    randomValue(random, shape, 2),
  );
  return { kind: "assign", path: randomPath(random, shape), values };
}

/** Half of the paths are short ones of the object itself, so that they meet. */
function randomPath(random: Random, shape: Shape): readonly string[] {
  const components = [...shape.components];
  if (components.length > 0 && random.isTrue(2, 3)) {
    const [name, inner] = random.pick(components);
    return [name, ...randomPath(random, inner)];
  }
  if (shape.interfaces.size > 0 && random.isTrue(1, 4))
    return [random.pick([...shape.interfaces]), random.pick(OF_INTERFACES)];
  const own = [...shape.parameters].filter((name) => PARAMETERS.includes(name));
  return own.length > 0 && random.isTrue(7, 8) ? [random.pick(own)] : [random.pick([...shape.parameters])];
}

function randomValue(random: Random, shape: Shape, depth: number): Expression {
  const kind = random.below(8);
  if (kind < 3) return { kind: "string", text: random.pick(TEXTS) };
  if (kind < 7 || depth === 0) return { kind: "reference", path: randomPath(random, shape) };
  const keys = random.shuffle(["k", "l", "k l"]).slice(0, 1 + random.below(2));
  return { kind: "map", pairs: keys.map((key) => [key, randomValue(random, shape, depth - 1)] as const) };
}

/** What the utility assigned and the user agent supplied, for some of the parameters. */
function randomOptions(random: Random, root: Shape): Pick<RandomProgram, "assigned" | "supplied"> {
  const assigned = new Map<string, readonly string[]>();
  const supplied = new Map<string, readonly string[]>();
  const isGiven = random.isTrue(1, 2);
  const visit = (shape: Shape, path: string): void => {
    for (const name of shape.interfaces)
      for (const field of OF_INTERFACES)
        if (isGiven && random.isTrue(1, 2))
          assigned.set(`${path}${name}.${field}`, random.pick([["10.0.0.1"], [], ["z"]]));
    for (const name of shape.parameters)
      if (isGiven && random.isTrue(1, 2)) supplied.set(path + name, random.pick([["s1"], ["s1", "s 2"], []]));
    for (const [name, inner] of shape.components) visit(inner, `${path}${name}.`);
  };
  visit(root, "");
  return { assigned, supplied };
}
