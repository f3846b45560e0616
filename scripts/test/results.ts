/** What a run of test files gives. */

/** One `t.test`, or a file's own assertions outside any. */
export interface TestResult {
  /** The names from the outermost test inwards; empty for the file itself. */
  readonly names: readonly string[];
  readonly state: "passed" | "failed" | "skipped";
  /** Undefined where tap does not say. */
  readonly ms: number | undefined;
  /** Of the first that went wrong. */
  readonly failure?: Failure;
}

export interface Failure {
  readonly message: string;
  /** `test/io.test.ts:12`; undefined where nothing in a file is to blame. */
  readonly at: string | undefined;
  /** What was expected and what came, or where it was thrown: a few lines at most. */
  readonly difference: readonly string[];
}

export interface FileResult {
  /** `test/io.test.ts` */
  readonly file: string;
  readonly ms: number;
  readonly tests: readonly TestResult[];
  readonly assertions: { readonly passed: number; readonly failed: number };
  /** What the file printed that was no result, its end. */
  readonly output: string;
}

export function failedTests(result: FileResult): readonly TestResult[] {
  return result.tests.filter(({ state }) => state === "failed");
}
