/** What lies in a mirror: tags, branches, files. What is not there though it should be makes it a damaged one. */
import { damaged } from "../git/damage.ts";
import type { Git } from "../git/git.ts";
import { openGitObjects, type GitObjects } from "../git/objects.ts";
import { listRefs } from "../git/refs.ts";
import { commitFiles, type CommitFiles } from "../git/tree.ts";
import { findDefaultTip, type DefaultTip } from "./default-tip.ts";
import { taggedVersions } from "./version-tags.ts";
import type { Version } from "./versions.ts";

export interface MirrorReader {
  readonly objects: GitObjects;
  /** The files of a commit that is here. */
  files(commit: string): CommitFiles;
  /** Ascending. Tags that name no version or point at no commit are left out. @throws CollectiveError REPOSITORY_DAMAGED */
  versions(): Promise<readonly Version[]>;
  /** What the tag of a version points at; undefined without such a tag. @throws CollectiveError REPOSITORY_DAMAGED */
  commitOf(version: number): Promise<{ readonly commit: string; readonly tree: string } | undefined>;
  /** The default branch. */
  defaultTip(): Promise<DefaultTip>;
}

export function openMirrorReader(git: Git, url: string): MirrorReader {
  const objects = openGitObjects(git);
  const filesByCommit = new Map<string, CommitFiles>();
  return {
    objects,
    files: (commit) => {
      const known =
        filesByCommit.get(commit) ?? commitFiles(objects, commit, `${url} at ${commit.slice(0, 12)}`);
      filesByCommit.set(commit, known);
      return known;
    },
    versions: async () => {
      const versions = await Promise.all(
        (await taggedVersions(git)).map(async (version) => {
          const commit = await objects.info(`${tagOf(version)}^{commit}`);
          if (commit === undefined) await requireNoCommit(git, objects, version);
          return commit === undefined ? [] : [{ version, commit: commit.oid }];
        }),
      );
      return versions.flat().sort((a, b) => a.version - b.version);
    },
    defaultTip: () => findDefaultTip(git, objects, url),
    commitOf: async (version) => {
      const [commit, tree] = await Promise.all([
        objects.info(`${tagOf(version)}^{commit}`),
        objects.info(`${tagOf(version)}^{tree}`),
      ]);
      if (commit === undefined) await requireNoCommit(git, objects, version);
      if (commit !== undefined && tree === undefined) throw lost(objects, `the tree of v${version}`);
      return commit === undefined || tree === undefined ? undefined : { commit: commit.oid, tree: tree.oid };
    },
  };
}

function tagOf(version: number): string {
  return `refs/tags/v${version}`;
}

/** A tag on a file or a folder is no version; one on a commit that cannot be read is damage, and not a version that is not there. */
async function requireNoCommit(git: Git, objects: GitObjects, version: number): Promise<void> {
  const tag = tagOf(version);
  if ((await listRefs(git, { pattern: tag })).length === 0) return;
  const found = await objects.info(tag);
  if (found === undefined || found.type === "commit") throw lost(objects, `the commit of v${version}`);
  if (found.type !== "tag") return;
  const text = (await objects.contents(tag))?.content.toString("utf8") ?? "";
  if (/^object .*\ntype (?:commit|tag)\n/.test(text)) throw lost(objects, `the commit of v${version}`);
}

function lost({ folder }: GitObjects, what: string): Error {
  return damaged(folder, `it lacks ${what}`);
}
