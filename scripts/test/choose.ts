/** Which test files run, and in which order. */
import { readdir } from "node:fs/promises";
import path from "node:path";
import type { RunRecord } from "./record.ts";

export interface TestFile {
  /** `test/io.test.ts` */
  readonly file: string;
  /** `build/test/io.test.js` */
  readonly compiled: string;
}

/** `*.slow.test.ts`: `npm test` leaves them out, `npm run test:slow` runs only them. */
export type Speed = "fast" | "slow" | "any";

export interface Choice {
  /** Parts of paths, one of which a file must have; all files without parts. */
  readonly parts: readonly string[];
  readonly speed: Speed;
}

export async function findTestFiles(choice: Choice): Promise<TestFile[]> {
  const names = await readdir("build/test", { recursive: true });
  return names
    .filter((name) => name.endsWith(".test.js"))
    .map((name) => ({
      file: path.join("test", name.replace(/js$/, "ts")),
      compiled: path.join("build/test", name),
    }))
    .filter(({ file }) => isChosen(file, choice));
}

/** `file` is `test/io.test.ts`. */
export function isChosen(file: string, { parts, speed }: Choice): boolean {
  if (speed !== "any" && isSlow(file) !== (speed === "slow")) return false;
  return parts.length === 0 || parts.some((part) => file.includes(part));
}

function isSlow(file: string): boolean {
  return file.endsWith(".slow.test.ts");
}

/** Where nothing is known yet: the rooms whose files take longest. */
const SLOW_ROOMS = ["test/e2e/", "test/templates/", "test/host/", "test/hooks/", "test/forge/"];

/** Longest first, so that no core waits for the other one at the end. */
export function longestFirst(files: readonly TestFile[], { ms }: RunRecord): TestFile[] {
  const weight = ({ file }: TestFile): number => {
    const room = SLOW_ROOMS.findIndex((prefix) => file.startsWith(prefix));
    return ms[file] ?? (room === -1 ? 0 : (SLOW_ROOMS.length - room) * 10_000);
  };
  return files.toSorted((a, b) => weight(b) - weight(a) || (a.file < b.file ? -1 : 1));
}
