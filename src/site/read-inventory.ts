/** Reads the text of utility.yaml: syntax and shape, with every mistake at its place. */
import { isCollection, isNode, type Document } from "yaml";
import { makeDiagnostic, type Diagnostic, type Span } from "../diagnostics.ts";
import { inventorySchema, toInventory, UNSUPPORTED_KEYS, type Inventory } from "./inventory.ts";
import { messageOf } from "../errors.ts";
import { parseEditable } from "../yaml-edit.ts";
import { shapeMessage, syntaxMessage } from "../yaml-words.ts";

/** Of the text, in characters; a file with more bytes is not even read. */
export const MAX_INVENTORY_BYTES = 4 * 1024 * 1024;

export interface ParsedInventory {
  /** Undefined when there are diagnostics. */
  readonly inventory: Inventory | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

/** `file` is the name diagnostics show. */
export function parseInventory(text: string, file: string): ParsedInventory {
  if (text.length > MAX_INVENTORY_BYTES) {
    return refused(`the file is larger than ${MAX_INVENTORY_BYTES} bytes`, undefined);
  }
  const document = parseEditable(text);
  if (document.errors.length > 0)
    return { inventory: undefined, diagnostics: syntaxDiagnostics(document, file) };
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return refused(messageOf(error), { file, start: 0, end: 0 });
  }
  if (value === null) return refused("the file is empty: expected the line `format: 1`", undefined);
  const unsupported = refuseUnsupported(document, value, file);
  const result = inventorySchema.safeParse(value);
  if (result.success && unsupported.length === 0)
    return { inventory: toInventory(result.data), diagnostics: [] };
  const issues = result.error?.issues ?? [];
  const invalid = issues.map((issue): Diagnostic => ({
    code: "INVENTORY_INVALID",
    severity: "error",
    message: `${issue.path.length === 0 ? "utility.yaml" : renderPath(issue.path)}: ${shapeMessage(issue.message)}`,
    span: spanOf(document, issue.path, file),
  }));
  return { inventory: undefined, diagnostics: [...unsupported, ...invalid] };
}

/** Who sets one of these counts on it; what is not enforced is not taken. */
function refuseUnsupported(document: Document, value: unknown, file: string): Diagnostic[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(UNSUPPORTED_KEYS).flatMap(([key, hint]) => {
    const set = Object.entries(value).find(([name, content]) => name === key && content !== null);
    if (set === undefined) return [];
    const message = `${key}: this release does not enforce it, so it is not accepted`;
    return [makeDiagnostic("INVENTORY_UNSUPPORTED", message, spanOf(document, [key], file), { hint })];
  });
}

function syntaxDiagnostics(document: Document, file: string): Diagnostic[] {
  return document.errors.map((error) => ({
    code: "INVENTORY_SYNTAX",
    severity: "error",
    message: syntaxMessage(error),
    span: { file, start: error.pos[0], end: error.pos[1] },
  }));
}

function refused(message: string, span: Span | undefined): ParsedInventory {
  return { inventory: undefined, diagnostics: [makeDiagnostic("INVENTORY_SYNTAX", message, span)] };
}

function renderPath(path: readonly PropertyKey[]): string {
  return path
    .map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`))
    .join("")
    .replace(/^\./, "");
}

/** The place of the deepest node of `path` that is in the file. */
function spanOf(document: Document, path: readonly PropertyKey[], file: string): Span {
  for (let length = path.length; length >= 0; length--) {
    const node = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range != null) {
      const end = isCollection(node) && length < path.length ? node.range[0] : node.range[1];
      return { file, start: node.range[0], end: Math.max(end, node.range[0]) };
    }
  }
  return { file, start: 0, end: 0 };
}
