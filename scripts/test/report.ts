/** What a run of the tests prints. */
import { failedTests, type FileResult, type TestResult } from "./results.ts";

/** As soon as a file has ended: one line, and what failed, for a run may be ended before its last lines. */
export function fileLines(result: FileResult): string {
  const failed = failedTests(result);
  const count =
    failed.length > 0
      ? `${failed.length} of ${result.tests.length} failed`
      : plural(result.tests.length, "test");
  return [
    `${failed.length > 0 ? "FAILED" : "ok    "} ${seconds(result.ms)}  ${result.file} (${count})`,
    ...failed.flatMap((test) => failureLines(result, test)),
  ].join("\n");
}

export interface RunReport {
  readonly results: readonly FileResult[];
  /** Processes, files and the like that the tests should have ended and removed. */
  readonly left: readonly string[];
  readonly ms: number;
}

/** The end of the output: slow tests, failed tests, and the counts in the last line. */
export function runReport({ results, left, ms }: RunReport): string {
  const failures = results.flatMap((result) => failedTests(result).map((test) => ({ result, test })));
  const { passed, failed, skipped } = countTests({ results, left });
  return [
    ...slowTable(results),
    ...(failures.length + left.length === 0 ? [] : ["", "Failed:"]),
    ...failures.flatMap(({ result, test }) => failureLines(result, test)),
    ...left.map((thing) => `  left behind: ${thing}`),
    "",
    `${assertionCount(results)} in ${plural(results.length, "file")}, ${minutes(ms)}`,
    `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`,
  ].join("\n");
}

/** What is left behind counts as failed. */
export function countTests({ results, left }: Pick<RunReport, "results" | "left">): {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
} {
  const states = results.flatMap(({ tests }) => tests.map(({ state }) => state));
  const count = (wanted: TestResult["state"]): number => states.filter((state) => state === wanted).length;
  return { passed: count("passed"), failed: count("failed") + left.length, skipped: count("skipped") };
}

const SLOW_ROWS = 10;

function slowTable(results: readonly FileResult[]): string[] {
  const tests = results
    .flatMap((result) => result.tests.map((test) => ({ result, test })))
    .filter(({ test }) => (test.ms ?? 0) >= 1000)
    .sort((a, b) => (b.test.ms ?? 0) - (a.test.ms ?? 0));
  if (tests.length === 0) return [];
  const rows = tests.slice(0, SLOW_ROWS);
  return [
    "",
    "The slowest tests:",
    ...rows.map(({ result, test }) => `${seconds(test.ms ?? 0)}  ${nameOf(result, test)}`),
  ];
}

const OUTPUT_LINES = 20;

function failureLines(result: FileResult, test: TestResult): string[] {
  const { failure } = test;
  if (failure === undefined) return [];
  const place = failure.at ?? result.file;
  const isWholeFile = test.names.length === 0;
  return [
    `  ${place}  ${[...test.names, failure.message].join(" › ")}`,
    ...failure.difference.map((line) => `      ${line.slice(0, 300)}`),
    ...(isWholeFile ? lastLines(result.output, OUTPUT_LINES).map((line) => `      | ${line}`) : []),
  ];
}

function nameOf({ file }: FileResult, { names }: TestResult): string {
  return [file, ...names].join(" › ");
}

function assertionCount(results: readonly FileResult[]): string {
  const sum = (of: "passed" | "failed"): number =>
    results.reduce((total, { assertions }) => total + assertions[of], 0);
  const failed = sum("failed");
  return `${plural(sum("passed") + failed, "assertion")}${failed === 0 ? "" : ` (${failed} failed)`}`;
}

export function lastLines(text: string, count: number): string[] {
  return text
    .trimEnd()
    .split("\n")
    .filter((line) => line !== "")
    .slice(-count);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1).padStart(6)} s`;
}

function minutes(ms: number): string {
  const whole = Math.round(ms / 1000);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
