/** Everything that is done to a CVL file, and what must hold whatever is in it. */
import assert from "node:assert/strict";
import { checkProgram } from "../../../src/cvl/evaluate/check-program.ts";
import { evaluate } from "../../../src/cvl/evaluate/evaluate.ts";
import { renderTree } from "../../../src/cvl/evaluate/tree-text.ts";
import { writeTreeJson } from "../../../src/cvl/evaluate/tree-json.ts";
import { format } from "../../../src/cvl/format/format.ts";
import { link } from "../../../src/cvl/link/link.ts";
import type { LinkedProgram } from "../../../src/cvl/link/program.ts";
import { parse, parseWithRecovery } from "../../../src/cvl/parse/parser.ts";
import type { SyntaxFile } from "../../../src/cvl/parse/syntax.ts";
import { hasErrors, renderDiagnostic, type Diagnostic } from "../../../src/diagnostics.ts";
import { checkNetwork } from "../../../src/network/decide-network.ts";
import { resolverOf, rootFile, type Repositories } from "../programs.ts";

const REPOSITORIES: Repositories = {
  "u@1:c.cvl":
    'A extends VMAppliance { var a, b; a = "x"; Interface e; } c extends VANAppliance { A m; A n; n.a = m.b; }',
  "u@2:c.cvl":
    "A extends VMAppliance { var b, a; b = a; Interface e; } c extends VANAppliance { var d; A n; A m; }",
};

/** What was found, in codes: for a fuzzer to tell texts apart. @throws when something does not hold. */
export async function checkText(text: string, { isLarge = false } = {}): Promise<string> {
  const parsed = parse(text, "root.cvl");
  checkDiagnostics(parsed.diagnostics, text);
  if (!isLarge) assert.deepEqual(parsed, parseWithRecovery(text, "root.cvl"));
  const { program, diagnostics } = await link(rootFile(text), resolverOf(REPOSITORIES));
  checkDiagnostics(diagnostics, text);
  assert.equal(program === undefined, hasErrors(diagnostics));
  const found = program === undefined ? [] : checkEvaluation(program, text, isLarge);
  await checkFormat(text, parsed, { program, isLarge });
  return [...new Set([...parsed.diagnostics, ...diagnostics, ...found].map(({ code }) => code))].join();
}

const MOST = 2 * 201;

function checkDiagnostics(diagnostics: readonly Diagnostic[], text: string): void {
  assert.ok(diagnostics.length <= MOST, `${diagnostics.length} diagnostics`);
  for (const diagnostic of diagnostics) {
    const { span, message, hint } = diagnostic;
    assert.ok(message.length < 2000 && (hint?.length ?? 0) < 2000, message.slice(0, 200));
    if (span?.file === "root.cvl")
      assert.ok(span.start >= 0 && span.start <= text.length && span.end >= span.start);
    renderDiagnostic(diagnostic, (file) => (file === "root.cvl" ? text : undefined));
  }
}

function checkEvaluation(program: LinkedProgram, text: string, isLarge: boolean): readonly Diagnostic[] {
  const diagnostics = checkProgram(program, (tree, isRoot) => checkNetwork(tree, { isPart: !isRoot }));
  checkDiagnostics(diagnostics, text);
  const { tree } = evaluate(program);
  const json = countCharacters(writeTreeJson(tree));
  for (const piece of renderTree(tree, () => true)) assert.ok(piece.length >= 0);
  if (!isLarge) JSON.parse([...writeTreeJson(tree)].join("\n"));
  assert.ok(json >= 0);
  return diagnostics;
}

function countCharacters(pieces: Iterable<string>): number {
  let count = 0;
  for (const piece of pieces) count += piece.length;
  return count;
}

async function checkFormat(
  text: string,
  before: ReturnType<typeof parse>,
  { program, isLarge }: { readonly program: LinkedProgram | undefined; readonly isLarge: boolean },
): Promise<void> {
  const formatted = format(text, "root.cvl");
  if (before.diagnostics.length > 0) {
    assert.equal(formatted.text, text, "a text with errors is left as it is");
    return;
  }
  assert.equal(format(formatted.text, "root.cvl").text, formatted.text, "formatting twice changes nothing");
  if (isLarge) return;
  const after = parse(formatted.text, "root.cvl");
  assert.deepEqual(after.diagnostics, []);
  assert.deepEqual(withoutPlaces(after.file), withoutPlaces(before.file));
  assert.deepEqual(comments(after.file), comments(before.file));
  const again = await link(rootFile(formatted.text), resolverOf(REPOSITORIES));
  if (program !== undefined && again.program !== undefined)
    assert.deepEqual(treeText(again.program), treeText(program), "formatting keeps every value");
}

function treeText(program: LinkedProgram): string {
  return [...writeTreeJson(evaluate(program).tree)].join("\n");
}

/** The tree without offsets, comments and the source text. */
export function withoutPlaces({ imports, assignments, objects }: SyntaxFile): unknown {
  const isPlace = (key: string) => key === "start" || key === "end";
  return JSON.parse(
    JSON.stringify([imports, assignments, objects], (key, part: unknown) =>
      isPlace(key) ? undefined : part,
    ),
  );
}

/** In the order of their places. */
export function comments({ text, comments: places }: SyntaxFile): string[] {
  return places.map(({ start, end }) => text.slice(start, end).trimEnd());
}
