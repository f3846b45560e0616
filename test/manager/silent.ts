import type { Progress } from "../../src/manager/change/progress.ts";

/** For tests that do not look at the progress. */
export const SILENT: Progress = {
  begin: () => undefined,
  end: () => undefined,
  fail: () => undefined,
  skip: () => undefined,
  note: () => undefined,
};
