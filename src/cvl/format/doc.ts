/** A small pretty printer: documents whose groups are printed on one line where they fit, else broken. */

export type Doc =
  | string
  | readonly Doc[]
  | { readonly kind: "line" | "hardline" | "break-parent" }
  | { readonly kind: "indent"; readonly content: Doc }
  | { readonly kind: "group"; readonly content: Doc; readonly isBroken: boolean }
  /** Printed at the end of the line it is met on. */
  | { readonly kind: "suffix"; readonly text: string }
  | { readonly kind: "if-broken"; readonly text: string };

/** A space, or a line end when its group is broken. */
export const LINE: Doc = { kind: "line" };
/** A line end always; breaks every group around it. */
export const HARDLINE: Doc = { kind: "hardline" };
/** Breaks every group around it. */
export const BREAK_PARENT: Doc = { kind: "break-parent" };

export function group(content: Doc): Doc {
  return { kind: "group", content, isBroken: mustBreak(content) };
}

export function indent(content: Doc): Doc {
  return { kind: "indent", content };
}

const INDENT = 2;

interface Item {
  readonly doc: Doc;
  readonly indentation: number;
  readonly isBroken: boolean;
}

/** The text; nesting of groups is bounded by that of maps. */
export function printDoc(doc: Doc, width: number): string {
  const output: string[] = [];
  const stack: Item[] = [{ doc, indentation: 0, isBroken: true }];
  let suffixes = "";
  let column = 0;
  const write = (text: string) => {
    output.push(text);
    const newline = text.lastIndexOf("\n");
    column = newline === -1 ? column + text.length : text.length - newline - 1;
  };
  const breakLine = (indentation: number) => {
    write(suffixes);
    suffixes = "";
    trimEnd(output);
    output.push("\n", " ".repeat(indentation));
    column = indentation;
  };
  for (let item = stack.pop(); item !== undefined; item = stack.pop()) {
    const { doc: next, indentation, isBroken } = item;
    if (typeof next === "string") write(next);
    else if (!("kind" in next)) pushAll(stack, next, item);
    else if (next.kind === "hardline" || (next.kind === "line" && isBroken)) breakLine(indentation);
    else if (next.kind === "line") write(" ");
    else if (next.kind === "suffix") suffixes += ` ${next.text}`;
    else if (next.kind === "indent")
      stack.push({ doc: next.content, indentation: indentation + INDENT, isBroken });
    else if (next.kind === "group") {
      const breaks = next.isBroken || !fits(next.content, width - column, stack);
      stack.push({ doc: next.content, indentation, isBroken: breaks });
    } else if (next.kind === "if-broken" && isBroken) write(next.text);
  }
  write(suffixes);
  trimEnd(output);
  return output.join("");
}

function pushAll(stack: Item[], docs: readonly Doc[], { indentation, isBroken }: Item): void {
  for (let index = docs.length - 1; index >= 0; index -= 1) {
    const doc = docs[index];
    if (doc !== undefined) stack.push({ doc, indentation, isBroken });
  }
}

/** Whether `content` on one line, and what follows it up to the next possible line end, is at most `room` wide. */
function fits(content: Doc, room: number, rest: readonly Item[]): boolean {
  let left = room;
  let restIndex = rest.length - 1;
  const pending: { doc: Doc; isBroken: boolean }[] = [{ doc: content, isBroken: false }];
  while (left >= 0) {
    const item = pending.pop() ?? rest[restIndex--];
    if (item === undefined) return true;
    const { doc, isBroken } = item;
    if (typeof doc === "string") {
      const newline = doc.indexOf("\n");
      if (newline !== -1) return left >= newline;
      left -= doc.length;
    } else if (!("kind" in doc)) {
      for (let index = doc.length - 1; index >= 0; index -= 1)
        pending.push({ doc: doc[index] ?? "", isBroken });
    } else if (doc.kind === "hardline" || (doc.kind === "line" && isBroken)) {
      return true;
    } else if (doc.kind === "line") {
      left -= 1;
    } else if (doc.kind === "indent") {
      pending.push({ doc: doc.content, isBroken });
    } else if (doc.kind === "group") {
      pending.push({ doc: doc.content, isBroken: isBroken && doc.isBroken });
    } else if (doc.kind === "if-broken" && isBroken) {
      left -= doc.text.length;
    }
  }
  return false;
}

function mustBreak(doc: Doc): boolean {
  if (typeof doc === "string") return false;
  if (!("kind" in doc)) return doc.some(mustBreak);
  if (doc.kind === "hardline" || doc.kind === "break-parent") return true;
  if (doc.kind === "group") return doc.isBroken;
  return doc.kind === "indent" && mustBreak(doc.content);
}

/** No blanks before a line end. */
function trimEnd(output: string[]): void {
  while (output.length > 0) {
    const trimmed = (output.at(-1) ?? "").replace(/[ \t]+$/, "");
    output[output.length - 1] = trimmed;
    if (trimmed !== "") return;
    output.pop();
  }
}
