/**
 * What a repository accepts, from whatever client: immutable versions without gaps, that evaluate, whose Git LFS objects are here;
 * no disk images, nothing without bounds. All of a push is checked before any of it is in force.
 */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { CollectiveError } from "../errors.ts";
import type { Environment, Git } from "../git/git.ts";
import { gitFolderOf } from "../git/folder.ts";
import { openGitObjects } from "../git/objects.ts";
import { readableStores } from "../lfs/repository-store.ts";
import { cacheFolder } from "../cache-folder.ts";
import { withMirrors } from "../appliance/mirrors.ts";
import { versionOfRef } from "../appliance/versions.ts";
import { taggedVersions } from "../appliance/version-tags.ts";
import { checkBranches } from "./check-branches.ts";
import { checkCommit } from "./check-commit.ts";
import { checkNewObjects } from "./new-objects.ts";
import { refusal, type HookDiagnostic } from "./hook-diagnostic.ts";
import { limitSetting, readLimits } from "./receive-limits.ts";
import type { ReceivedPush } from "./received-push.ts";
import type { RefUpdate } from "./ref-updates.ts";
import { checkVersions, type NewVersion } from "./version-rules.ts";
import { configFlag, configValue } from "../git/config.ts";
import { headBranch } from "../git/refs.ts";

export interface CheckPushOptions {
  readonly updates: readonly RefUpdate[];
  /** Folder of the mirrors; default `$XDG_CACHE_HOME/cui`, or one in the repository where that cannot be written. */
  readonly cache?: string;
  /** How long all imports of the push together may take to fetch; default 60 s. */
  readonly fetchMs?: number;
}

/** One import may take this long to fetch, all imports of a push together that long. */
const FETCH_MS = 30_000;
const ALL_FETCHES_MS = 60_000;
/** No more versions are looked at after this; what is left is refused. */
const DEADLINE_MS = 240_000;

/**
 * Checks a push that git has received and not yet accepted. `hook` has the hook's environment, which says where git keeps the
 * objects until then.
 */
export async function checkPush(hook: Git, options: CheckPushOptions): Promise<readonly HookDiagnostic[]> {
  const folder = await gitFolderOf(hook);
  const localEnv = quarantine(hook.env);
  const git = hook.bare(folder).with(localEnv);
  const limits = await readLimits(git);
  const startedAt = Date.now();
  const objects = openGitObjects(git);
  const fetchTimeoutMs = (): number =>
    Math.min(FETCH_MS, startedAt + (options.fetchMs ?? ALL_FETCHES_MS) - Date.now());
  try {
    return await withMirrors(
      hook,
      (mirrors) =>
        checkAll({
          git,
          objects,
          mirrors,
          limits,
          updates: options.updates,
          until: startedAt + DEADLINE_MS,
        }),
      { cache: options.cache ?? (await usableCache(git)), localEnv, fetchTimeoutMs },
    );
  } finally {
    await objects.close();
  }
}

/**
 * Until a push is accepted its objects lie apart, and only these variables lead there. They are given to calls on this repository
 * alone: a fetch into a mirror must not write there.
 * @see git-receive-pack, "Quarantine Environment"
 */
function quarantine(env: Environment): Record<string, string> {
  const names = ["GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH"];
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

async function usableCache({ folder, env }: Git): Promise<string> {
  const cache = cacheFolder(env);
  return mkdir(cache, { recursive: true }).then(
    () => cache,
    () => path.join(folder, "cui-cache"),
  );
}

/** Cheap rules first: what they refuse is not looked into. */
async function checkAll(push: ReceivedPush): Promise<readonly HookDiagnostic[]> {
  const { updates, limits, objects, git } = push;
  const tooMany = updates.filter(({ ref }) => versionOfRef(ref) !== undefined).length;
  if (tooMany > limits.versions) return [tooManyVersions(tooMany, limits.versions)];
  const existing = new Set(await taggedVersions(git));
  const versions = checkVersions(updates, existing);
  const branch = (await headBranch(git)) ?? "";
  const refusals = [...versions.refusals, ...(await checkBranches(push, branch))];
  if (refusals.length > 0) return refusals;
  const tips = updates.flatMap(({ after }) => after ?? []);
  if (tips.length === 0) return [];
  const unwanted = await checkNewObjects({ git, objects, tips, limits });
  if (unwanted.length > 0) return unwanted;
  return checkTips(push, { added: versions.added, existing, branch });
}

interface Tips {
  readonly added: readonly NewVersion[];
  /** Versions of the repository. */
  readonly existing: ReadonlySet<number>;
  /** The ref of its default branch. */
  readonly branch: string;
}

async function checkTips(
  push: ReceivedPush,
  { added, existing, branch }: Tips,
): Promise<readonly HookDiagnostic[]> {
  const found: HookDiagnostic[] = [];
  const numbers = new Set([...existing, ...added.map(({ version }) => version)]);
  const settings = {
    numbers,
    stores: await readableStores(push.git),
    importsRequired: (await configValue(push.git, "cui.imports")) === "required",
    pathsBelow: await importPaths(push.git),
  };
  const done = new Set<string>();
  for (const { ref, after } of push.updates) {
    const version = added.find((entry) => ref === `refs/tags/v${entry.version}`)?.version;
    if (after === undefined || (version === undefined && !ref.startsWith("refs/heads/"))) continue;
    if (Date.now() > push.until) throw outOfTime();
    const commit = await push.objects.info(`${after}^{commit}`);
    if (commit === undefined) {
      if (version !== undefined) found.push(noCommit(version));
      continue;
    }
    const isDefaultBranch = ref === branch;
    const key = `${version === undefined ? `branch ${isDefaultBranch}` : "version"} ${commit.oid}`;
    if (done.has(key)) continue;
    done.add(key);
    const one = { push, ref, isDefaultBranch, version, commit: commit.oid };
    found.push(...(await checkCommit({ ...one, ...settings })));
  }
  return found;
}

/** Imports by path may lead to repositories beside this one; `cui.importPaths` lets them lead anywhere. */
async function importPaths(git: Git): Promise<string | undefined> {
  return (await configFlag(git, "cui.importPaths")) === true ? undefined : path.dirname(git.folder);
}

function tooManyVersions(count: number, limit: number): HookDiagnostic {
  return refusal(
    "this push",
    "PUSH_TOO_LARGE",
    `it has ${count} versions; at most ${limit} are taken at once`,
    `push them in pieces, oldest first, or raise ${limitSetting("versions")} of the repository`,
  );
}

function noCommit(version: number): HookDiagnostic {
  const hint = `a version is a commit: git tag -f v${version} HEAD, then push again`;
  return refusal(`v${version}`, "VERSION_WITHOUT_COMMIT", "it points at no commit", hint);
}

function outOfTime(): CollectiveError {
  return new CollectiveError("HOOK_REFUSED", "the push was not checked in time", {
    hint: "push fewer versions at once",
  });
}
