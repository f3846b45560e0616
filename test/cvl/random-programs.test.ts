/**
 * Random programs by src/cvl and by the reference, which knows docs/cvl.md alone: no value may differ, and no kind of mistake.
 * A sample by default, from a seed that is printed (CUI_SEED repeats it); 100,000 in `npm run test:exhaustive`.
 */
import assert from "node:assert/strict";
import t from "tap";
import { evaluate } from "../../src/cvl/evaluate/evaluate.ts";
import { elementToJson } from "../../src/cvl/evaluate/tree-json.ts";
import { link } from "../../src/cvl/link/link.ts";
import { resolverOf, rootFile } from "./programs.ts";
import { evaluatePlainly, type PlainResult } from "./reference/evaluate-plainly.ts";
import { writeFile } from "./reference/program.ts";
import { randomProgram, type RandomProgram } from "./reference/random-program.ts";

t.setTimeout(0);

const isExhaustive = process.env["CUI_EXHAUSTIVE"] === "1";
const COUNT = isExhaustive ? 100_000 : 2000;
const seed = Number(process.env["CUI_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

t.test(`${COUNT} random programs have the values of the reference, seed ${seed}`, async (t) => {
  const met = new Map<string, number>();
  for (let at = 0; at < COUNT; at += 1) {
    const random = randomProgram(seed + at);
    const expected = evaluatePlainly(random.program, random);
    const found = await evaluateReally(random);
    const texts = () =>
      [...random.program.files].map(([name, file]) => `// ${name}\n${writeFile(file)}`).join("\n") +
      `\n// root, ${random.program.object}, CUI_SEED=${seed + at}\n${writeFile(random.program.root)}`;
    try {
      assert.deepEqual(found.mistakes, expected.mistakes);
      // What has a mistake in it has no value; everything else has one all the same.
      for (const [path, value] of expected.values) assert.deepEqual(found.values.get(path), value, path);
      if (expected.mistakes.length === 0) assert.equal(found.values.size, expected.values.size);
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.message : ""}\n${texts()}`, { cause: error });
    }
    for (const mistake of expected.mistakes.length === 0 ? ["sound"] : expected.mistakes)
      met.set(mistake, (met.get(mistake) ?? 0) + 1);
  }
  for (const kind of ["sound", "CVL_VALUE_CYCLE", "CVL_MAP_VALUE", "CVL_UTILITY_VALUE"])
    t.ok((met.get(kind) ?? 0) > COUNT / 100, `${kind}: ${met.get(kind) ?? 0} programs`);
});

async function evaluateReally({ program, assigned, supplied }: RandomProgram): Promise<PlainResult> {
  const repositories = Object.fromEntries([...program.files].map(([key, file]) => [key, writeFile(file)]));
  const linked = await link(rootFile(writeFile(program.root)), resolverOf(repositories), {
    object: program.object,
  });
  const errors = linked.diagnostics.filter(({ severity }) => severity === "error");
  if (linked.program === undefined) return { values: new Map(), mistakes: errors.map(({ code }) => code) };
  const { tree, diagnostics } = evaluate(linked.program, { assigned, supplied });
  const values = new Map<
    string,
    PlainResult["values"] extends ReadonlyMap<string, infer List> ? List : never
  >();
  for (const component of tree.components.values()) {
    for (const [name, { elements }] of component.parameters)
      values.set(component.path === "" ? name : `${component.path}.${name}`, elements.map(elementToJson));
  }
  return { values, mistakes: [...new Set(diagnostics.map(({ code }) => code))].sort() };
}
