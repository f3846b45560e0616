/**
 * What git tells hooks of a push on standard input:
 *
 *     pre-receive, post-receive   <old> SP <new> SP <ref> LF
 *     pre-push                    <local ref> SP <new> SP <ref> SP <old> LF
 *
 * An id of zeros means: there is none.
 */

export interface RefUpdate {
  /** Name at the repository that is pushed to. */
  readonly ref: string;
  /** What it points at there; undefined: it is new. */
  readonly before: string | undefined;
  /** What it shall point at; undefined: it is deleted. */
  readonly after: string | undefined;
}

/** Undefined for what git does not say. */
export function parseReceived(text: string): readonly RefUpdate[] | undefined {
  return parseLines(text, /^([0-9a-f]{40,64}) ([0-9a-f]{40,64}) (\S+)$/, ([, before, after, ref]) => ({
    ref: ref ?? "",
    before: idOrNone(before),
    after: idOrNone(after),
  }));
}

/** Undefined for what git does not say. */
export function parsePushed(text: string): readonly RefUpdate[] | undefined {
  return parseLines(text, /^\S+ ([0-9a-f]{40,64}) (\S+) ([0-9a-f]{40,64})$/, ([, after, ref, before]) => ({
    ref: ref ?? "",
    before: idOrNone(before),
    after: idOrNone(after),
  }));
}

/** A ref's name for people. */
export function shortRef(ref: string): string {
  return ref.replace(/^refs\/(heads|tags)\//, "");
}

function parseLines(
  text: string,
  form: RegExp,
  toUpdate: (match: RegExpExecArray) => RefUpdate,
): readonly RefUpdate[] | undefined {
  const lines = text.split("\n").filter((line) => line !== "");
  const updates = lines.flatMap((line) => {
    const match = form.exec(line);
    return match === null ? [] : [toUpdate(match)];
  });
  return updates.length === lines.length ? updates : undefined;
}

function idOrNone(id: string | undefined): string | undefined {
  return id === undefined || /^0+$/.test(id) ? undefined : id;
}
