/**
 * What a clone does before a commit: changed disk images become index and packs, staged CVL is formatted, what is staged is
 * checked. It works on the index that git commits and leaves alone what is not staged.
 */
import { hasErrors } from "../diagnostics.ts";
import type { Git } from "../git/git.ts";
import { openGitObjects } from "../git/objects.ts";
import { withMirrors } from "../appliance/mirrors.ts";
import { WITHDRAWN_FILE } from "../appliance/versions.ts";
import { formatStaged } from "./format-staged.ts";
import { stageDisks, type StageDisksOptions } from "./stage-disks.ts";
import { openStage, type Stage, type StagedFile } from "./stage.ts";
import { checkVersion, type VersionRule } from "../publish/check-version.ts";
import { openCandidate } from "../publish/version-candidate.ts";
import { inCommit, ownTexts } from "./check-commit.ts";
import type { HookDiagnostic } from "./hook-diagnostic.ts";

/** git decides whether there is anything to commit before it calls the hook. */
const COMMIT_AGAIN =
  "nothing else was staged: if git finds nothing to commit now, run the same `git commit` again";

/** An import that is not at hand is fetched, but nobody waits long for it. */
const FETCH_MS = 10_000;

/** In a work tree, with the environment of the hook. Formats and stages; an error must end the commit. */
export async function prepareCommit(
  git: Git,
  options: StageDisksOptions = {},
): Promise<readonly HookDiagnostic[]> {
  const stage = await openStage(git);
  const staged = await stage.changedFiles();
  const formatted = await formatStaged(stage, staged);
  if (formatted.refusals.length > 0) return formatted.refusals;
  for (const file of formatted.changed) options.onDone?.(`formatted ${file}`);
  const checked = await checkStaged(options, stage, staged);
  if (hasErrors(checked)) return checked;
  const before = staged.length === 0 ? await stage.writeTree() : undefined;
  const disks = await stageDisks(stage, options);
  if (before !== undefined && before !== (await stage.writeTree())) options.onDone?.(COMMIT_AGAIN);
  return [...checked, ...disks];
}

/** What of a version a commit can be asked: its disks are stored only after this. */
const RULES: readonly VersionRule[] = ["withdrawn", "descriptions", "evaluates"];

/** Only what the commit changes is checked; it is read from the index, never from the work tree. */
async function checkStaged(
  options: StageDisksOptions,
  stage: Stage,
  staged: readonly StagedFile[],
): Promise<readonly HookDiagnostic[]> {
  const wanted = new Set(staged.map(({ path: file }) => file).filter(isChecked));
  if (wanted.size === 0) return [];
  const commit = await stage.writeTree();
  const objects = openGitObjects(stage.git);
  const startedAt = Date.now();
  try {
    return await withMirrors(
      stage.git,
      async (mirrors) => {
        const candidate = openCandidate({
          ...{ where: "what is staged", mirrors, git: stage.git, objects, commit },
          ...{ version: undefined, numbers: new Set<number>(), imports: { fetch: false } },
          isChecked: (file) => wanted.has(file),
          findMissing: () => Promise.resolve([]),
        });
        const diagnostics = await checkVersion(candidate, RULES);
        // Who is offline may commit.
        return inCommit("what is staged", diagnostics, {
          textOf: ownTexts(candidate.textOf),
          importsRequired: false,
        });
      },
      { cache: options.cache, fetchTimeoutMs: () => startedAt + FETCH_MS - Date.now() },
    );
  } finally {
    await objects.close();
  }
}

function isChecked(file: string): boolean {
  return /\.(cvl|vm\.yaml|vmx)$/.test(file) || file === WITHDRAWN_FILE;
}
