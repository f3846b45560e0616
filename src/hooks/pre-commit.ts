/**
 * What a clone does before a commit: changed disk images become index and packs, staged CVL is formatted, what is staged is
 * checked. It works on the index that git commits and leaves alone what is not staged.
 */
import type { Git } from "../git/git.ts";
import { openGitObjects } from "../git/objects.ts";
import { withMirrors } from "../appliance/mirrors.ts";
import { WITHDRAWN_FILE } from "../appliance/versions.ts";
import { formatStaged } from "./format-staged.ts";
import type { CheckedPush } from "./received-push.ts";
import { stageDisks, type StageDisksOptions } from "./stage-disks.ts";
import { openStage, type Stage, type StagedFile } from "./stage.ts";
import { checkVersion, type VersionRule } from "../publish/check-version.ts";
import { openCandidate } from "../publish/version-candidate.ts";
import { ownTexts, sortProblems } from "./check-commit.ts";

/** git decides whether there is anything to commit before it calls the hook. */
const COMMIT_AGAIN =
  "nothing else was staged: if git finds nothing to commit now, run the same `git commit` again";

/** An import that is not at hand is fetched, but nobody waits long for it. */
const FETCH_MS = 10_000;

/** In a work tree, with the environment of the hook. Formats and stages; `problems` that are not empty must end the commit. */
export async function prepareCommit(git: Git, options: StageDisksOptions = {}): Promise<CheckedPush> {
  const stage = await openStage(git);
  const staged = await stage.changedFiles();
  const formatted = await formatStaged(stage, staged);
  if (formatted.problems.length > 0) return { problems: formatted.problems, warnings: [] };
  for (const file of formatted.changed) options.onDone?.(`formatted ${file}`);
  const checked = await checkStaged(options, stage, staged);
  if (checked.problems.length > 0) return checked;
  const before = staged.length === 0 ? await stage.writeTree() : undefined;
  const disks = await stageDisks(stage, options);
  if (before !== undefined && before !== (await stage.writeTree())) options.onDone?.(COMMIT_AGAIN);
  return { problems: disks.problems, warnings: [...checked.warnings, ...disks.warnings] };
}

/** What of a version a commit can be asked: its disks are stored only after this. */
const RULES: readonly VersionRule[] = ["withdrawn", "descriptions", "evaluates"];

/** Only what the commit changes is checked; it is read from the index, never from the work tree. */
async function checkStaged(
  options: StageDisksOptions,
  stage: Stage,
  staged: readonly StagedFile[],
): Promise<CheckedPush> {
  const wanted = new Set(staged.map(({ path: file }) => file).filter(isChecked));
  if (wanted.size === 0) return { problems: [], warnings: [] };
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
        return sortProblems("what is staged", diagnostics, {
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
