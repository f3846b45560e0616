/** Reads what one test file says in TAP. */
import { Parser, type Result } from "tap-parser";
import type { Failure, TestResult } from "./results.ts";

export interface Collected {
  readonly tests: readonly TestResult[];
  readonly assertions: { readonly passed: number; readonly failed: number };
  /** Lines that are no TAP. */
  readonly extra: string;
}

/** A stream to write TAP to; `end()` gives what it said. */
export interface Collector {
  write(text: string): void;
  end(): Promise<Collected>;
}

export function collectTap(): Collector {
  const found: Found = { tests: [], passed: 0, failed: 0, extra: "" };
  const parser = new Parser();
  parser.on("extra", (line: string) => (found.extra += line));
  const own = watch(parser, [], found);
  return {
    write: (text) => void parser.write(text),
    end: async () => {
      const ended = new Promise((resolve) => parser.once("complete", resolve));
      parser.end();
      await ended;
      const itself = testOf([], own, undefined);
      const tests = itself === undefined ? found.tests : [...found.tests, itself];
      const { passed, failed, extra } = found;
      return { tests, assertions: { passed, failed }, extra };
    },
  };
}

interface Found {
  readonly tests: TestResult[];
  passed: number;
  failed: number;
  extra: string;
}

/** Of one test: what it asserts itself, and whether a test inside it failed. */
interface Own {
  assertions: number;
  failure: Failure | undefined;
  hasFailedInside: boolean;
}

function watch(parser: Parser, names: readonly string[], found: Found): Own {
  const own: Own = { assertions: 0, failure: undefined, hasFailedInside: false };
  let inside: Own | undefined;
  parser.on("child", (child: Parser) => {
    child.on("extra", (line: string) => (found.extra += line));
    inside = watch(child, [...names, child.name], found);
  });
  parser.on("assert", (result: Result) => {
    if (inside !== undefined && result.closingTestPoint) {
      const test = testOf([...names, result.name], inside, result);
      if (test !== undefined) found.tests.push(test);
      own.hasFailedInside ||= !isFine(result);
      inside = undefined;
    } else if (result.skip !== false) {
      found.tests.push({ names: [...names, result.name], state: "skipped", ms: undefined });
    } else {
      own.assertions += 1;
      found[isFine(result) ? "passed" : "failed"] += 1;
      if (!isFine(result)) own.failure ??= failureOf(result);
    }
  });
  return own;
}

/** Undefined for a test that only holds others: those are counted. */
function testOf(names: readonly string[], own: Own, closing: Result | undefined): TestResult | undefined {
  const ms = closing?.time ?? undefined;
  // A test may fail by itself, too: too few assertions, a teardown that throws.
  const isFailedByItself = closing !== undefined && !isFine(closing) && !own.hasFailedInside;
  const failure = own.failure ?? (isFailedByItself ? failureOf(closing) : undefined);
  if (failure !== undefined) return { names, state: "failed", ms, failure };
  return own.assertions === 0 ? undefined : { names, state: "passed", ms };
}

function isFine({ ok, todo }: Result): boolean {
  return ok || todo !== false;
}

/** What tap says of a failure, in YAML. */
interface Diagnostics {
  readonly at?: { readonly fileName?: string; readonly lineNumber?: number };
  readonly diff?: string;
  readonly stack?: string;
  readonly found?: unknown;
  readonly wanted?: unknown;
  readonly timeout?: number;
  /** How tap got hold of an error that was thrown; other fields are then the error's own. */
  readonly tapCaught?: string;
}

function failureOf(result: Result): Failure {
  const { at, diff, stack, ...values } = (result.diag ?? {}) as Diagnostics;
  const place = at?.fileName === undefined ? undefined : `${at.fileName}:${at.lineNumber ?? 0}`;
  const message = values.timeout === undefined ? result.name : `${result.name} (after ${values.timeout} ms)`;
  return {
    message,
    at: place,
    difference: firstDifference(diff) ?? twoValues(values) ?? topOf(stack) ?? fieldsOf(values),
  };
}

const SHOWN_LINES = 3;

/** The lines that differ first: those taken away, then those that came in their place. */
function firstDifference(diff: string | undefined): readonly string[] | undefined {
  const lines = (diff ?? "").split("\n").slice(2);
  const first = lines.findIndex((line) => /^[-+]/.test(line));
  if (first === -1) return undefined;
  const end = lines.findIndex((line, at) => at > first && !/^[-+]/.test(line));
  const changed = lines.slice(first, end === -1 ? undefined : end);
  return ["-", "+"].flatMap((sign) => changed.filter((line) => line.startsWith(sign)).slice(0, SHOWN_LINES));
}

function twoValues(values: Pick<Diagnostics, "found" | "wanted">): readonly string[] | undefined {
  if (!("wanted" in values)) return undefined;
  return [`-${JSON.stringify(values.wanted)}`, `+${JSON.stringify(values.found)}`];
}

function topOf(stack: string | undefined): readonly string[] | undefined {
  const lines = (stack ?? "").split("\n").filter((line) => line !== "");
  return lines.length === 0 ? undefined : lines.slice(0, SHOWN_LINES);
}

/** Of an error that tap shows without its message, as those of programs: the last line of each of its fields. */
function fieldsOf({ tapCaught, ...fields }: Diagnostics): readonly string[] {
  if (tapCaught === undefined) return [];
  return Object.entries(fields)
    .map(([name, value]) => [name, lastLine(value)] as const)
    .filter(([, text]) => text !== "")
    .map(([name, text]) => `${name}: ${text}`);
}

function lastLine(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value ?? "");
  return text.trimEnd().split("\n").at(-1) ?? "";
}
