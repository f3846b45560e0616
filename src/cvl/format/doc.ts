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

/** Prints one document after the other; nesting of groups is bounded by that of maps. */
export class DocPrinter {
  private readonly output: string[] = [];
  private readonly width: number;
  private suffixes = "";
  private column = 0;

  constructor(width: number) {
    this.width = width;
  }

  /** `indentation` in steps. */
  print(doc: Doc, indentation = 0): void {
    const stack: Item[] = [{ doc, indentation: indentation * INDENT, isBroken: true }];
    for (let item = stack.pop(); item !== undefined; item = stack.pop()) this.printItem(item, stack);
  }

  /** All that was printed. */
  text(): string {
    this.write(this.suffixes);
    this.suffixes = "";
    trimEnd(this.output);
    return this.output.join("");
  }

  private printItem(item: Item, stack: Item[]): void {
    const { doc, indentation, isBroken } = item;
    if (typeof doc === "string") this.write(doc);
    else if (!("kind" in doc)) pushAll(stack, doc, item);
    else if (doc.kind === "hardline" || (doc.kind === "line" && isBroken)) this.breakLine(indentation);
    else if (doc.kind === "line") this.write(" ");
    else if (doc.kind === "suffix") this.suffixes += ` ${doc.text}`;
    else if (doc.kind === "indent")
      stack.push({ doc: doc.content, indentation: indentation + INDENT, isBroken });
    else if (doc.kind === "group") {
      const breaks = doc.isBroken || !fits(doc.content, { column: this.column, width: this.width }, stack);
      stack.push({ doc: doc.content, indentation, isBroken: breaks });
    } else if (doc.kind === "if-broken" && isBroken) this.write(doc.text);
  }

  private write(text: string): void {
    if (text === "") return;
    this.output.push(text);
    const newline = text.lastIndexOf("\n");
    this.column = newline === -1 ? this.column + text.length : text.length - newline - 1;
  }

  private breakLine(indentation: number): void {
    this.write(this.suffixes);
    this.suffixes = "";
    trimEnd(this.output);
    this.output.push("\n", " ".repeat(indentation));
    this.column = indentation;
  }
}

function pushAll(stack: Item[], docs: readonly Doc[], { indentation, isBroken }: Item): void {
  for (let index = docs.length - 1; index >= 0; index -= 1) {
    const doc = docs[index];
    if (doc !== undefined) stack.push({ doc, indentation, isBroken });
  }
}

/**
 * Whether `content` without line ends of its groups, and what follows it up to the next possible line end, is at most `width`
 * wide. A string or comment that goes over lines ends one and begins another.
 */
function fits(
  content: Doc,
  { column, width }: { readonly column: number; readonly width: number },
  rest: readonly Item[],
): boolean {
  let left = width - column;
  let restIndex = rest.length - 1;
  const pending: { doc: Doc; isBroken: boolean }[] = [{ doc: content, isBroken: false }];
  while (left >= 0) {
    const isRest = pending.length === 0;
    const item = pending.pop() ?? rest[restIndex--];
    if (item === undefined) return true;
    const { doc, isBroken } = item;
    if (typeof doc === "string") {
      const newline = doc.indexOf("\n");
      if (newline === -1) {
        left -= doc.length;
      } else {
        if (isRest || left < newline) return left >= newline;
        left = width - (doc.length - doc.lastIndexOf("\n") - 1);
      }
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
