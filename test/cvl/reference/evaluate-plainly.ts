/**
 * What a program comes to, by docs/cvl.md and nothing else: slow, plain and recursive, with no idea of how src/cvl does it. Every
 * question is answered anew by going through the statements that bear on it.
 */
import type { Expression, Program, ProgramFile, ProgramObject, Statement } from "./program.ts";

/** As in `cui eval --json`. */
export type PlainElement =
  | string
  | { readonly unknown: readonly string[] }
  | { readonly unset: readonly string[] }
  | { readonly sensitive: true };

export interface PlainResult {
  /** By the full path of each parameter; without those that have a mistake in them. */
  readonly values: ReadonlyMap<string, readonly PlainElement[]>;
  /** Codes of the mistakes, each once, in order of the alphabet. */
  readonly mistakes: readonly string[];
}

export interface PlainOptions {
  readonly assigned?: ReadonlyMap<string, readonly string[]>;
  readonly supplied?: ReadonlyMap<string, readonly string[]>;
}

// Objects: "Every object extends VMAppliance, VANAppliance or an object that does."

interface PlainClass {
  readonly object: ProgramObject;
  /** What a name means in the file it is declared in. */
  readonly lookUp: (name: string) => PlainClass;
}

const required = (...names: string[]): Statement => ({ kind: "var", attributes: ["required"], names });
const optional = (...names: string[]): Statement => ({ kind: "var", attributes: [], names });

const PREDEFINED: readonly ProgramObject[] = [
  {
    name: "Interface",
    base: "",
    statements: [required("mac", "ip", "subnet", "netmask"), optional("defaultroute")],
  },
  {
    name: "Appliance",
    base: "",
    statements: [optional("name"), optional("requires", "provides"), required("vanIF")],
  },
  {
    name: "VMAppliance",
    base: "Appliance",
    statements: [
      required("vm"),
      optional("datadisks"),
      { kind: "component", class: "Interface", names: ["ethernet0"] },
      { kind: "assign", path: ["vanIF"], values: [{ kind: "string", text: "ethernet0" }] },
    ],
  },
  { name: "VANAppliance", base: "Appliance", statements: [optional("defaultroute")] },
];

function predefined(name: string): PlainClass {
  const object = PREDEFINED.find((entry) => entry.name === name);
  if (object === undefined) throw new Error(`there is no object ${name}`);
  return { object, lookUp: predefined };
}

function classIn(program: Program, file: ProgramFile, name: string): PlainClass {
  const object = file.objects.find((entry) => entry.name === name);
  if (object !== undefined) return { object, lookUp: (other) => classIn(program, file, other) };
  const statement = file.imports.find((entry) => entry.name === name);
  if (statement === undefined) return predefined(name);
  const imported = program.files.get(`${statement.url}@${statement.version}:${statement.cvl}`);
  if (imported === undefined) throw new Error(`there is no file ${statement.url}`);
  // "A file stands for its only object, or for the one that is named like the file."
  const named = statement.cvl.replace(/\.cvl$/, "");
  const only = imported.objects.length === 1 ? imported.objects[0]?.name : named;
  return classIn(program, imported, only ?? "");
}

/** What is asked about an object again and again is remembered: only so that 100,000 programs take minutes and not hours. */
function remembering<Answer>(ask: (type: PlainClass) => Answer): (type: PlainClass) => Answer {
  const answers = new WeakMap<ProgramObject, Answer>();
  return (type) => {
    const answer = answers.get(type.object) ?? ask(type);
    answers.set(type.object, answer);
    return answer;
  };
}

/** Itself, its base, the base's base … */
const chainOf = remembering((type): readonly PlainClass[] => {
  const { base } = type.object;
  return base === "" ? [type] : [type, ...chainOf(type.lookUp(base))];
});

/** Components by name; one that a derived object declares again has its class. */
const componentsOf = remembering((type): ReadonlyMap<string, PlainClass> => {
  const components = new Map<string, PlainClass>();
  for (const { object, lookUp } of chainOf(type).toReversed()) {
    for (const statement of object.statements) {
      if (statement.kind !== "component") continue;
      for (const name of statement.names) components.set(name, lookUp(statement.class));
    }
  }
  return components;
});

interface PlainParameter {
  readonly required: boolean;
  readonly sensitive: boolean;
}

/** "`var` with an inherited parameter only adds attributes." */
const parametersOf = remembering((type): ReadonlyMap<string, PlainParameter> => {
  const parameters = new Map<string, PlainParameter>();
  for (const { object } of chainOf(type).toReversed()) {
    for (const statement of object.statements) {
      if (statement.kind !== "var") continue;
      for (const name of statement.names) {
        const before = parameters.get(name);
        parameters.set(name, {
          required: before?.required === true || statement.attributes.includes("required"),
          sensitive: before?.sensitive === true || statement.attributes.includes("sensitive"),
        });
      }
    }
  }
  return parameters;
});

// Instances: an appliance, a network's components, a machine's interfaces.

interface PlainInstance {
  readonly names: readonly string[];
  readonly type: PlainClass;
  /** The object around it; undefined for the root. */
  readonly parent: PlainInstance | undefined;
}

function componentAt(instance: PlainInstance, name: string): PlainInstance | undefined {
  const type = componentsOf(instance.type).get(name);
  return type === undefined ? undefined : { names: [...instance.names, name], type, parent: instance };
}

function* everyInstance(instance: PlainInstance): Iterable<PlainInstance> {
  yield instance;
  for (const name of componentsOf(instance.type).keys()) {
    const inner = componentAt(instance, name);
    if (inner !== undefined) yield* everyInstance(inner);
  }
}

const isInterface = ({ type }: PlainInstance): boolean => type.object.name === "Interface";

// Values.

type Known =
  | { readonly kind: "known"; readonly text: string }
  | { readonly kind: "unknown" | "unset"; readonly paths: readonly string[] }
  | { readonly kind: "sensitive"; readonly paths: readonly string[]; readonly text: string | undefined };

/** Something in it is a mistake, which has been said. */
class Mistake extends Error {}

export function evaluatePlainly(program: Program, options: PlainOptions = {}): PlainResult {
  const root: PlainInstance = {
    names: [],
    type: classIn(program, program.root, program.object),
    parent: undefined,
  };
  const mistakes = new Set<string>();
  const values = new Map<string, readonly PlainElement[]>();
  const evaluator = new PlainEvaluator(options, program.object, mistakes);
  for (const instance of everyInstance(root)) {
    for (const name of parametersOf(instance.type).keys()) {
      const elements = evaluator.valueOf(instance, name);
      if (elements === undefined) continue;
      values.set([...instance.names, name].join("."), elements.map(toJson));
      // "What the utility itself reads must be known and not sensitive."
      const isRead =
        ["vm", "datadisks", "vanIF", "requires", "provides"].includes(name) && !isInterface(instance);
      if (isRead && elements.some(({ kind }) => kind === "unknown" || kind === "sensitive"))
        mistakes.add("CVL_UTILITY_VALUE");
    }
  }
  return { values, mistakes: [...mistakes].sort() };
}

function toJson(element: Known): PlainElement {
  if (element.kind === "known") return element.text;
  if (element.kind === "sensitive") return { sensitive: true };
  return element.kind === "unknown" ? { unknown: element.paths } : { unset: element.paths };
}

interface WrittenAssignment {
  /** The object that wrote it: paths in it begin there. */
  readonly scope: PlainInstance;
  readonly values: readonly Expression[];
}

class PlainEvaluator {
  /** Values that are done, undefined for a mistake; only so that a program takes seconds and not years. */
  private readonly done = new Map<string, readonly Known[] | undefined>();
  private readonly open = new Set<string>();
  private readonly options: PlainOptions;
  private readonly rootName: string;
  private readonly mistakes: Set<string>;

  constructor(options: PlainOptions, rootName: string, mistakes: Set<string>) {
    this.options = options;
    this.rootName = rootName;
    this.mistakes = mistakes;
  }

  valueOf(instance: PlainInstance, name: string): readonly Known[] | undefined {
    const path = [...instance.names, name].join(".");
    if (this.done.has(path)) return this.done.get(path);
    if (this.open.has(path)) {
      // "Any other circle of values is an error."
      this.mistakes.add("CVL_VALUE_CYCLE");
      return undefined;
    }
    this.open.add(path);
    const found = unlessMistaken(() => this.valueBy(assignmentsTo(instance, name), instance, name));
    const isSensitive = parametersOf(instance.type).get(name)?.sensitive === true;
    const value = isSensitive ? found?.map((element) => hidden(element, path)) : found;
    this.open.delete(path);
    this.done.set(path, value);
    return value;
  }

  /** By the first of the assignments, the one that wins; a reference to the parameter itself means it by the others. */
  private valueBy(
    assignments: readonly WrittenAssignment[],
    instance: PlainInstance,
    name: string,
  ): readonly Known[] {
    const [winner, ...others] = assignments;
    if (winner === undefined) return this.valueWithout(instance, name);
    const { scope, values } = winner;
    const self = { instance, name, others };
    // All that is referred to comes before what is made of it: where it has a mistake there is no other here.
    const referred = values.flatMap(referencesIn).map((path) => this.referred(scope, path, self));
    if (referred.includes(undefined)) throw new Mistake();
    const elements = values.flatMap((value) => this.evaluate(value, referred));
    // "a list without elements is unset"
    return elements.length === 0 ? this.valueWithout(instance, name) : elements;
  }

  /** Of a parameter that nothing is assigned to. */
  private valueWithout(instance: PlainInstance, name: string): readonly Known[] {
    const path = [...instance.names, name].join(".");
    if (isInterface(instance)) {
      const assigned = this.options.assigned?.get(path);
      return assigned?.map(known) ?? [{ kind: "unknown", paths: [path] }];
    }
    if (parametersOf(instance.type).get(name)?.sensitive === true) {
      const supplied = this.options.supplied?.get(path);
      return supplied?.map(known) ?? [{ kind: "sensitive", paths: [path], text: undefined }];
    }
    // "`name` is by default the component's own name."
    return name === "name" ? [known(instance.names.at(-1) ?? this.rootName)] : [];
  }

  private referred(scope: PlainInstance, path: readonly string[], self: Self): readonly Known[] | undefined {
    const { instance, name } = follow(scope, path);
    const isSelf = name === self.name && instance.names.join(".") === self.instance.names.join(".");
    if (isSelf) return unlessMistaken(() => this.valueBy(self.others, self.instance, self.name));
    const value = this.valueOf(instance, name);
    if (value?.length !== 0 || parametersOf(instance.type).get(name)?.required !== true) return value;
    return [{ kind: "unset", paths: [[...instance.names, name].join(".")] }];
  }

  /** Takes the values of the references in it off the beginning of `referred`. */
  private evaluate(value: Expression, referred: (readonly Known[] | undefined)[]): readonly Known[] {
    if (value.kind === "string") return [known(value.text)];
    if (value.kind === "reference") return referred.shift() ?? [];
    return [this.makeMap(value.pairs, referred)];
  }

  private makeMap(
    pairs: readonly (readonly [string, Expression])[],
    referred: (readonly Known[] | undefined)[],
  ): Known {
    const made = pairs.map(([key, value]) => {
      const elements = this.evaluate(value, referred);
      const [only] = elements;
      // "A value in a map is exactly one string."
      if (elements.length !== 1 || only === undefined) {
        this.mistakes.add("CVL_MAP_VALUE");
        throw new Mistake();
      }
      return { key, only };
    });
    const all = made.map(({ only }) => only);
    const paths = [...new Set(all.flatMap((element) => (element.kind === "known" ? [] : element.paths)))];
    const text = made
      .map(({ key, only }) => `${escaped(key)}=${escaped("text" in only ? (only.text ?? "") : "")}`)
      .join("&");
    // "Whatever is made from it is sensitive too."
    if (all.some(({ kind }) => kind === "sensitive")) {
      const isClear = all.every((element) => "text" in element && element.text !== undefined);
      return { kind: "sensitive", paths, text: isClear ? text : undefined };
    }
    if (all.some(({ kind }) => kind === "unset")) return { kind: "unset", paths };
    return all.some(({ kind }) => kind === "unknown") ? { kind: "unknown", paths } : known(text);
  }
}

interface Self {
  readonly instance: PlainInstance;
  readonly name: string;
  readonly others: readonly WrittenAssignment[];
}

function unlessMistaken<Value>(make: () => Value): Value | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof Mistake) return undefined;
    throw error;
  }
}

function known(text: string): Known {
  return { kind: "known", text };
}

/** The element once it belongs to a sensitive parameter. */
function hidden(element: Known, path: string): Known {
  if (element.kind === "sensitive") return element;
  return element.kind === "known"
    ? { kind: "sensitive", paths: [path], text: element.text }
    : { kind: "sensitive", paths: element.paths, text: undefined };
}

function referencesIn(value: Expression): readonly (readonly string[])[] {
  if (value.kind === "reference") return [value.path];
  return value.kind === "map" ? value.pairs.flatMap(([, inner]) => referencesIn(inner)) : [];
}

/** Where a path leads from an object. */
function follow(
  scope: PlainInstance,
  path: readonly string[],
): { readonly instance: PlainInstance; readonly name: string } {
  let instance = scope;
  for (const name of path.slice(0, -1)) {
    const inner = componentAt(instance, name);
    if (inner === undefined) throw new Error(`there is no component ${path.join(".")}`);
    instance = inner;
  }
  return { instance, name: path.at(-1) ?? "" };
}

/**
 * Every assignment to a parameter, the one that wins first: "1. the outermost object around the component; 2. in one object, the
 * most derived class; 3. in one body, the last."
 */
function assignmentsTo(instance: PlainInstance, name: string): readonly WrittenAssignment[] {
  const around: PlainInstance[] = [];
  for (let at: PlainInstance | undefined = instance; at !== undefined; at = at.parent) around.unshift(at);
  return around.flatMap((scope) => {
    const path = [...instance.names.slice(scope.names.length), name].join(".");
    return chainOf(scope.type).flatMap(({ object }) =>
      [...object.statements]
        .reverse()
        .flatMap((statement) =>
          statement.kind === "assign" && statement.path.join(".") === path
            ? [{ scope, values: statement.values }]
            : [],
        ),
    );
  });
}

/** "every byte of a key's or value's UTF-8 that is no ASCII letter or digit becomes `%XX`" */
function escaped(text: string): string {
  return [...new TextEncoder().encode(text)]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /[A-Za-z0-9]/.test(character)
        ? character
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
    })
    .join("");
}
