/** Which objects contain which: circles are errors, and how many instances a network unfolds into is known beforehand. */
import type { Member, ObjectClass } from "./object-class.ts";
import type { Reporter } from "../report.ts";
import { spanOf } from "./scope.ts";

/** What one instance of a class unfolds into, itself included. */
export interface Extent {
  readonly components: number;
  readonly parameters: number;
  /** Characters of the paths of all components, and of the longest path of a parameter, below this instance. */
  readonly pathsSize: number;
  readonly longestPath: number;
  /** Levels; 1 for a machine. */
  readonly depth: number;
}

interface Contained {
  readonly member: Member;
  readonly count: number;
  /** Characters of all of their names, and of the longest. */
  readonly namesSize: number;
  readonly longestName: number;
}

interface Visit {
  readonly class: ObjectClass;
  /** One component of each class it contains, how many there are of it, and their names with a dot. */
  readonly contained: readonly Contained[];
  next: number;
}

/** Reports every object that contains itself, directly or through others; goes down without recursion. */
export function checkContainment(classes: Iterable<ObjectClass>, reporter: Reporter): void {
  const done = new Set<ObjectClass>();
  for (const start of classes) walk(start, done, () => undefined, reporter);
}

/** The extent of one instance of `root`, which does not contain itself. */
export function measureExtent(root: ObjectClass): Extent {
  const extents = new Map<ObjectClass, Extent>();
  walk(root, new Set(), (visit) => extents.set(visit.class, sumExtents(visit, extents)));
  return extents.get(root) ?? NOTHING;
}

const NOTHING: Extent = { components: 0, parameters: 0, pathsSize: 0, longestPath: 0, depth: 0 };

function sumExtents({ class: owner, contained }: Visit, extents: ReadonlyMap<ObjectClass, Extent>): Extent {
  let components = 1;
  let parameters = owner.layout.slots.length;
  let depth = 1;
  let pathsSize = 0;
  let longestPath = 0;
  for (const { name } of owner.layout.slots) longestPath = Math.max(longestPath, name.length);
  for (const { member, count, namesSize, longestName } of contained) {
    const extent = extents.get(member.class) ?? NOTHING;
    components += count * extent.components;
    parameters += count * extent.parameters;
    pathsSize += namesSize * extent.components + count * extent.pathsSize;
    longestPath = Math.max(longestPath, longestName + extent.longestPath);
    depth = Math.max(depth, 1 + extent.depth);
  }
  return { components, parameters, pathsSize, longestPath, depth };
}

/** Depth first; `leave` is called for each class after all it contains. */
function walk(
  start: ObjectClass,
  done: Set<ObjectClass>,
  leave: (visit: Visit) => void,
  reporter?: Reporter,
): void {
  if (done.has(start)) return;
  const path: Visit[] = [visitOf(start)];
  const onPath = new Map([[start, 0]]);
  for (let visit = path.at(-1); visit !== undefined; visit = path.at(-1)) {
    const entry = visit.contained[visit.next];
    visit.next += 1;
    if (entry === undefined) {
      leave(visit);
      done.add(visit.class);
      onPath.delete(visit.class);
      path.pop();
    } else if (onPath.has(entry.member.class)) {
      if (reporter?.isFull === false)
        reportCircle(path, onPath.get(entry.member.class) ?? 0, entry.member, reporter);
    } else if (!done.has(entry.member.class)) {
      onPath.set(entry.member.class, path.length);
      path.push(visitOf(entry.member.class));
    }
  }
}

function visitOf(owner: ObjectClass): Visit {
  const counts = new Map<ObjectClass, { -readonly [K in keyof Contained]: Contained[K] }>();
  for (const member of owner.members.list) {
    const nameSize = member.name.length + 1;
    const entry = counts.get(member.class);
    if (entry === undefined) {
      counts.set(member.class, { member, count: 1, namesSize: nameSize, longestName: nameSize });
    } else {
      entry.count += 1;
      entry.namesSize += nameSize;
      entry.longestName = Math.max(entry.longestName, nameSize);
    }
  }
  return { class: owner, contained: [...counts.values()], next: 0 };
}

const MAX_SHOWN = 8;

function reportCircle(path: readonly Visit[], from: number, member: Member, reporter: Reporter): void {
  const names = path.slice(from, from + MAX_SHOWN).map((visit) => visit.class.name.slice(0, 60));
  const shown = path.length - from > MAX_SHOWN ? [...names, "…"] : names;
  reporter.report(
    "CVL_CONTAINS_ITSELF",
    `a network contains itself: ${[...shown, names[0] ?? ""].join(" → ")}`,
    spanOf(member.declared.file, member.declared),
    { hint: "a network is as large as all it contains, so this one would have no end" },
  );
}
