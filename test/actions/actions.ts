/** Checks of an action.yml beyond GitHub's schema, which lets unknown keys of an input pass. Each gives the places that break it. */
import { parse } from "yaml";
import { findRuntimeProblem } from "./runtimes.ts";

interface Described {
  readonly description?: unknown;
}

interface Action {
  readonly inputs?: Readonly<Record<string, Described>>;
  readonly outputs?: Readonly<Record<string, Described>>;
  readonly runs?: { readonly using?: unknown };
}

const INPUT_KEYS = ["description", "required", "default", "deprecationMessage"];
/** `value` belongs to composite actions, and there are none here. */
const OUTPUT_KEYS = ["description"];

export function findActionProblems(text: string): string[] {
  const { inputs = {}, outputs = {}, runs } = parse(text) as Action;
  const runtime = findRuntimeProblem(runs?.using);
  return [
    ...(runtime === undefined ? [] : [runtime]),
    ...Object.entries(inputs).flatMap(([name, input]) => findValueProblems(name, input, INPUT_KEYS)),
    ...Object.entries(outputs).flatMap(([name, output]) => findValueProblems(name, output, OUTPUT_KEYS)),
  ];
}

function findValueProblems(name: string, value: Described, known: readonly string[]): string[] {
  const problems: string[] = [];
  if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(name)) problems.push(`${name}: is no identifier`);
  if (typeof value.description !== "string" || value.description.trim() === "")
    problems.push(`${name}: no description`);
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) problems.push(`${name}: ${key} means nothing`);
  }
  return problems;
}
