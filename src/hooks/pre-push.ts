/**
 * What a clone does not even send: versions with gaps, moved or deleted ones, and packs nobody has. The repository checks the
 * same, but after the upload; here it costs one look at its tags.
 */
import { makeDiagnostic, type Diagnostic } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import type { Git } from "../git/git.ts";
import { openGitObjects, type GitObjects } from "../git/objects.ts";
import { repositoryStore } from "../lfs/repository-store.ts";
import { listNewPointers } from "../lfs/new-pointers.ts";
import { versionOfRef } from "../appliance/versions.ts";
import { withMirrors, type Mirrors } from "../appliance/mirrors.ts";
import { checkVersion, type VersionRule } from "../publish/check-version.ts";
import { openCandidate } from "../publish/version-candidate.ts";
import { inFilesOf, refusal, warning, type HookDiagnostic } from "./hook-diagnostic.ts";
import type { RefUpdate } from "./ref-updates.ts";
import { checkVersions, type NewVersion } from "./version-rules.ts";
import { listRemoteRefs, type RemoteRefs } from "../git/refs.ts";

export interface PrePushOptions {
  /** What git was asked to push to. */
  readonly url: string;
  readonly updates: readonly RefUpdate[];
}

const ASK_TIMEOUT_MS = 30_000;

/** Pushes without version tags are none of its business, and ask nothing of the remote. */
export async function checkOutgoing(
  git: Git,
  { url, updates }: PrePushOptions,
): Promise<readonly HookDiagnostic[]> {
  if (!updates.some(({ ref }) => versionOfRef(ref) !== undefined)) return [];
  const remote = await remoteRefs(git, url);
  if (remote === undefined) return [notAsked(url)];
  const versions = [...remote.ids.keys()].flatMap((name) => versionOfRef(name) ?? []);
  const { added, refusals } = checkVersions(updates, new Set(versions));
  if (refusals.length > 0) return refusals;
  const objects = openGitObjects(git);
  try {
    return await withMirrors(git, (mirrors) =>
      checkContents({ git, objects, mirrors, added, known: [...new Set(remote.ids.values())] }),
    );
  } finally {
    await objects.close();
  }
}

/** Undefined when the remote cannot be asked. A password may be asked for: `git push` just did so as well. */
async function remoteRefs(git: Git, url: string): Promise<RemoteRefs | undefined> {
  const asking = git.with({ GIT_TERMINAL_PROMPT: undefined });
  try {
    return await listRemoteRefs(asking, { of: url, timeoutMs: ASK_TIMEOUT_MS });
  } catch (error) {
    if (error instanceof CollectiveError) return undefined;
    throw error;
  }
}

interface ContentsOptions {
  readonly git: Git;
  readonly objects: GitObjects;
  readonly mirrors: Mirrors;
  readonly added: readonly NewVersion[];
  /** Ids the remote has. */
  readonly known: readonly string[];
}

async function checkContents(options: ContentsOptions): Promise<readonly HookDiagnostic[]> {
  const found: HookDiagnostic[] = [];
  const known = await presentIds(options);
  for (const { version, id } of options.added) {
    const commit = await options.objects.info(`${id}^{commit}`);
    if (commit === undefined) found.push(noCommit(version));
    else found.push(...(await checkContent(options, { version, commit: commit.oid, known })));
  }
  return found;
}

/** Those of the remote's ids that this clone has as well. */
async function presentIds({ git, known }: ContentsOptions): Promise<readonly string[]> {
  const { stdout } = await git.status({
    args: ["cat-file", "--batch-check=%(objectname)"],
    input: known.map((id) => `${id}\n`).join(""),
  });
  return stdout.split("\n").filter((line) => /^[0-9a-f]+$/.test(line));
}

/** What needs neither the language nor imports. */
const AFFORDABLE: readonly VersionRule[] = ["packs", "objects"];

async function checkContent(
  { git, objects, mirrors, added }: ContentsOptions,
  {
    version,
    commit,
    known,
  }: { readonly version: number; readonly commit: string; readonly known: readonly string[] },
): Promise<readonly HookDiagnostic[]> {
  const where = `v${version}`;
  const store = await repositoryStore(git);
  const candidate = openCandidate({
    ...{ where, mirrors, git, objects, commit, version, imports: { fetch: false } },
    numbers: new Set(added.map((entry) => entry.version)),
    findMissing: async () => {
      const missing: Diagnostic[] = [];
      for (const { oid } of await listNewPointers({ git, commit, known }))
        if (!(await store.has(oid))) missing.push(objectMissing(oid));
      return missing;
    },
  });
  return inFilesOf(where, await checkVersion(candidate, AFFORDABLE), candidate.textOf);
}

function objectMissing(oid: string): Diagnostic {
  const message = `the Git LFS object ${oid.slice(0, 12)}… is neither in this clone nor in a version the repository has`;
  const hint =
    "for a pack: `cui disk add` with the disk image at hand makes it again; else `git lfs fetch --all`";
  return makeDiagnostic("VERSION_OBJECT_MISSING", message, undefined, { hint });
}

function noCommit(version: number): HookDiagnostic {
  const hint = `a version is a commit: git tag -f v${version} HEAD`;
  return refusal(`v${version}`, "VERSION_WITHOUT_COMMIT", "it points at no commit", hint);
}

function notAsked(url: string): HookDiagnostic {
  const message = "its versions could not be asked for; the repository decides";
  return warning(url, "PUSH_NOT_CHECKED", message);
}
