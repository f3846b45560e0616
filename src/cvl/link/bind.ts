/** One file's objects to classes: names looked up, bases followed, parameters and components laid out, all checked. */
import { bindStatements } from "./bind-statements.ts";
import { declareStatements } from "./declare.ts";
import { MAX_INHERITANCE_DEPTH } from "../limits.ts";
import type { ClassKind, Layout, Members, ObjectClass } from "./object-class.ts";
import { PREDEFINED_FILE } from "./predefined.ts";
import { quote, type Reporter } from "../report.ts";
import { reportUnknownClass, spanOf, type Budget, type Scope } from "./scope.ts";
import type { SourceFile } from "../source.ts";
import type { ObjectSyntax, SyntaxFile } from "../parse/syntax.ts";

export type Classes = ReadonlyMap<string, ObjectClass>;

export interface BindInput {
  readonly file: SourceFile;
  readonly syntax: SyntaxFile;
  /** By the name the file gives them; undefined where the import failed and was reported. */
  readonly imports: ReadonlyMap<string, ObjectClass | undefined>;
  readonly predefined: Classes;
  readonly budget: Budget;
  readonly reporter: Reporter;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };
interface Draft {
  readonly syntax: ObjectSyntax;
  readonly class: Writable<ObjectClass>;
}

/** Binds every object of one file; the files it imports are bound already. The result is by name. */
export function bindFile(input: BindInput): {
  readonly classes: Classes;
  readonly usedNames: ReadonlySet<string>;
} {
  const drafts = draftObjects(input);
  const usedNames = new Set<string>();
  const scope: Scope = {
    file: input.file,
    reporter: input.reporter,
    budget: input.budget,
    find: (name) => {
      usedNames.add(name);
      return drafts.get(name)?.class ?? input.imports.get(name) ?? input.predefined.get(name);
    },
    has: (name) => drafts.has(name) || input.imports.has(name) || input.predefined.has(name),
    names: () => [...drafts.keys(), ...input.imports.keys(), ...input.predefined.keys()],
  };
  const ordered = orderByBase(drafts, scope);
  for (const draft of ordered) inherit(draft, scope);
  for (const { syntax, class: owner } of ordered)
    Object.assign(owner, declareStatements(owner, syntax, scope));
  for (const { syntax, class: owner } of ordered) {
    const target = bindStatements(owner, syntax, scope);
    owner.targets = [...(target === undefined ? [] : [target]), ...(owner.base?.targets ?? [])];
  }
  const classes = new Map(ordered.map((draft) => [draft.class.name, draft.class]));
  return { classes, usedNames };
}

/** A class for each object, still without content; a second object of a name is reported and left out. */
function draftObjects({ file, syntax, imports, predefined, reporter }: BindInput): Map<string, Draft> {
  const drafts = new Map<string, Draft>();
  for (const object of syntax.objects) {
    const { name } = object;
    const earlier = drafts.get(name.text);
    if (earlier !== undefined || imports.has(name.text) || predefined.has(name.text)) {
      const first =
        earlier?.syntax.name ?? syntax.imports.find((entry) => entry.name.text === name.text)?.name;
      reporter.report("CVL_DUPLICATE_NAME", `the name ${quote(name.text)} is taken`, spanOf(file, name), {
        hint: predefined.has(name.text)
          ? `${quote(name.text)} is a predefined object`
          : "choose another name",
        related: first === undefined ? [] : [{ message: "first here", span: spanOf(file, first) }],
      });
    } else {
      drafts.set(name.text, { syntax: object, class: emptyClass(object, file) });
    }
  }
  return drafts;
}

function emptyClass({ name, statements, isDamaged }: ObjectSyntax, file: SourceFile): Writable<ObjectClass> {
  return {
    name: name.text,
    file,
    declared: { file, start: name.start, end: name.end },
    kind: "unknown",
    base: undefined,
    chain: [],
    ancestors: [],
    layout: EMPTY_LAYOUT,
    members: EMPTY_MEMBERS,
    statements,
    targets: [],
    isOpen: isDamaged,
  };
}

const EMPTY_LAYOUT: Layout = { slots: [], index: new Map(), interfaces: [] };
const EMPTY_MEMBERS: Members = { list: [], index: new Map() };

/** Bases before what derives from them; an object in a circle of bases loses its base and is reported. */
function orderByBase(drafts: ReadonlyMap<string, Draft>, scope: Scope): Draft[] {
  const ordered: Draft[] = [];
  const done = new Set<Draft>();
  for (const start of drafts.values()) {
    const path: Draft[] = [];
    const onPath = new Set<Draft>();
    let draft: Draft | undefined = start;
    while (draft !== undefined && !done.has(draft) && !onPath.has(draft)) {
      path.push(draft);
      onPath.add(draft);
      draft = drafts.get(draft.syntax.base?.text ?? "");
    }
    if (draft !== undefined && onPath.has(draft)) reportBaseCycle(path.slice(path.indexOf(draft)), scope);
    for (const finished of path.reverse()) {
      done.add(finished);
      ordered.push(finished);
    }
  }
  return ordered;
}

const MAX_SHOWN_CYCLE = 8;

function reportBaseCycle(cycle: readonly Draft[], { file, reporter }: Scope): void {
  const names = cycle.map(({ syntax }) => syntax.name.text.slice(0, 60));
  const shown = names.length > MAX_SHOWN_CYCLE ? [...names.slice(0, MAX_SHOWN_CYCLE), "…"] : names;
  const first = cycle[0]?.syntax;
  reporter.report(
    "CVL_INHERITANCE_CYCLE",
    `an object derives from itself: ${[...shown, names[0]].join(" → ")}`,
    first === undefined ? undefined : spanOf(file, first.base ?? first.name),
    { hint: "let one of them extend VMAppliance, VANAppliance or an imported object" },
  );
  for (const { class: owner } of cycle) {
    owner.isOpen = true;
    owner.chain = [owner];
  }
}

function inherit({ syntax, class: owner }: Draft, scope: Scope): void {
  if (owner.chain.length > 0) return; // in a circle of bases
  const base = findBase(syntax, scope);
  owner.base = base;
  owner.chain = [owner, ...(base?.chain ?? [])];
  owner.kind = kindOf(owner, base);
  owner.isOpen ||= owner.kind === "unknown" || (base?.isOpen ?? false);
  owner.ancestors = owner.chain.filter(({ file }) => file !== PREDEFINED_FILE).map(({ name }) => name);
  scope.budget.spend(owner.chain.length + 1);
}

function kindOf(owner: ObjectClass, base: ObjectClass | undefined): ClassKind {
  if (owner.file === PREDEFINED_FILE) return PREDEFINED_KINDS.get(owner.name) ?? "unknown";
  return base?.kind ?? "unknown";
}

const PREDEFINED_KINDS: ReadonlyMap<string, ClassKind> = new Map([
  ["Interface", "interface"],
  ["Appliance", "appliance"],
  ["VMAppliance", "machine"],
  ["VANAppliance", "network"],
]);

/** The base as long as an appliance may derive from it. */
function findBase({ name, base: written }: ObjectSyntax, scope: Scope): ObjectClass | undefined {
  const { file, reporter } = scope;
  const isPredefined = file === PREDEFINED_FILE;
  if (written === undefined) {
    if (!isPredefined)
      reporter.report("CVL_BASE", `${quote(name.text)} extends nothing`, spanOf(file, name), DERIVE);
    return undefined;
  }
  const span = spanOf(file, written);
  const base = scope.find(written.text);
  if (base === undefined) {
    if (!scope.has(written.text)) reportUnknownClass(written.text, span, scope);
    return undefined;
  }
  if (!isPredefined && (base.kind === "interface" || base.kind === "appliance")) {
    reporter.report("CVL_BASE", `an object cannot extend ${quote(written.text)}`, span, DERIVE);
    return undefined;
  }
  if (base.chain.length >= MAX_INHERITANCE_DEPTH) {
    reporter.report(
      "CVL_LIMIT",
      `objects may derive from each other at most ${MAX_INHERITANCE_DEPTH} deep`,
      span,
    );
    return undefined;
  }
  return base;
}

const DERIVE = { hint: "every object extends VMAppliance, VANAppliance or an object that does" };
