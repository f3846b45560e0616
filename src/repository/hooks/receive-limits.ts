/** Bounds on a push. The repository's configuration may set others: `git config cui.maxBlob 32m`. */
import { CollectiveError } from "../../errors.ts";
import { gitStatus } from "../git.ts";

export interface ReceiveLimits {
  /** One file in plain git. */
  readonly blobBytes: number;
  /** Files of one commit. */
  readonly files: number;
  /** All new objects of one push together, unpacked. */
  readonly pushBytes: number;
  /** Versions in one push. */
  readonly versions: number;
}

const MEBIBYTE = 1024 * 1024;

/** Their settings, and what holds without. */
const LIMITS: Readonly<Record<keyof ReceiveLimits, { readonly setting: string; readonly value: number }>> = {
  blobBytes: { setting: "cui.maxBlob", value: 16 * MEBIBYTE },
  files: { setting: "cui.maxFiles", value: 100_000 },
  pushBytes: { setting: "cui.maxPush", value: 1024 * MEBIBYTE },
  versions: { setting: "cui.maxVersions", value: 1000 },
};

/** The limits that hold in a repository. @throws CollectiveError USAGE for a setting that is no number. */
export async function readLimits(folder: string): Promise<ReceiveLimits> {
  const [blobBytes, files, pushBytes, versions] = await Promise.all([
    readLimit(folder, "blobBytes"),
    readLimit(folder, "files"),
    readLimit(folder, "pushBytes"),
    readLimit(folder, "versions"),
  ]);
  return { blobBytes, files, pushBytes, versions };
}

/** For hints: which setting raises a limit. */
export function limitSetting(name: keyof ReceiveLimits): string {
  return LIMITS[name].setting;
}

async function readLimit(folder: string, name: keyof ReceiveLimits): Promise<number> {
  const { setting, value } = LIMITS[name];
  const { stdout, exitCode } = await gitStatus({ folder, args: ["config", "--type=int", "--get", setting] });
  if (exitCode === 1) return value;
  const limit = Number(stdout.trim());
  if (exitCode === 0 && limit > 0) return limit;
  throw new CollectiveError("USAGE", `the repository's setting ${setting} is no positive number`, {
    hint: `git config ${setting} ${value}`,
  });
}
