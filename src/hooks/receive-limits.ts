/** Bounds on a push. The repository's configuration may set others: `git config cui.maxBlob 32m`. */
import { CollectiveError } from "../errors.ts";
import type { Git } from "../git/git.ts";

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

/** The limits that hold in a repository. @throws CollectiveError HOOK_SETTING_INVALID for a setting that is no number. */
export async function readLimits(git: Git): Promise<ReceiveLimits> {
  const settings = await readSettings(git);
  const limitOf = (name: keyof ReceiveLimits): number => {
    const { setting, value } = LIMITS[name];
    const limit = settings.get(setting.toLowerCase());
    if (limit === undefined) return value;
    if (limit > 0) return limit;
    throw noNumber(name);
  };
  return {
    blobBytes: limitOf("blobBytes"),
    files: limitOf("files"),
    pushBytes: limitOf("pushBytes"),
    versions: limitOf("versions"),
  };
}

/** For hints: which setting raises a limit. */
export function limitSetting(name: keyof ReceiveLimits): string {
  return LIMITS[name].setting;
}

/** All that are set, in one call of git; names as git writes them, in small letters. Of several values the last one holds. */
async function readSettings(git: Git): Promise<ReadonlyMap<string, number>> {
  const args = ["config", "--type=int", "--get-regexp", "^cui\\.max(blob|files|push|versions)$"];
  const { stdout, exitCode } = await git.status({ args });
  if (exitCode !== 0 && exitCode !== 1) throw noNumber(await firstUnreadable(git));
  const lines = stdout.split("\n").filter((line) => line !== "");
  return new Map(
    lines.map((line) => {
      const [name = "", value = ""] = line.split(" ");
      return [name, Number(value)];
    }),
  );
}

/** git ends at the first value it cannot read, and says which in words only. */
async function firstUnreadable(git: Git): Promise<keyof ReceiveLimits> {
  for (const name of Object.keys(LIMITS) as (keyof ReceiveLimits)[]) {
    const args = ["config", "--type=int", "--get", LIMITS[name].setting];
    const { exitCode } = await git.status({ args });
    if (exitCode !== 0 && exitCode !== 1) return name;
  }
  throw new CollectiveError("HOOK_REFUSED", `the configuration of ${git.folder} cannot be read`, {
    hint: "try `git config --list` there",
  });
}

function noNumber(name: keyof ReceiveLimits): CollectiveError {
  const { setting, value } = LIMITS[name];
  const message = `the repository's setting ${setting} is no positive number`;
  return new CollectiveError("HOOK_SETTING_INVALID", message, { hint: `git config ${setting} ${value}` });
}
