/** What the last run of the tests took and where it failed; kept for the next one, never committed. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { failedTests, type FileResult } from "./results.ts";

/** Below the project's folder. */
const FILE = ".tap/last-run.json";

export interface RunRecord {
  readonly format: 1;
  /** Milliseconds each file took when it last ran. */
  readonly ms: Readonly<Record<string, number>>;
  readonly failed: readonly string[];
}

const NOTHING: RunRecord = { format: 1, ms: {}, failed: [] };

/** Empty when there is none, or none of this format. */
export function readRecord(file = FILE): RunRecord {
  try {
    const record = JSON.parse(readFileSync(file, "utf8")) as { readonly format: number };
    return record.format === NOTHING.format ? (record as RunRecord) : NOTHING;
  } catch {
    return NOTHING;
  }
}

/** Files that did not run keep their time, and stay failed if they were. */
export function writeRecord(results: readonly FileResult[], file = FILE): void {
  const before = readRecord(file);
  const ran = new Set(results.map((result) => result.file));
  const failed = results.filter((result) => failedTests(result).length > 0).map((result) => result.file);
  const record: RunRecord = {
    format: 1,
    ms: { ...before.ms, ...Object.fromEntries(results.map(({ file, ms }) => [file, Math.round(ms)])) },
    failed: [...before.failed.filter((file) => !ran.has(file)), ...failed].sort(),
  };
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(record, null, 1)}\n`);
}
