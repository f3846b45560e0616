/**
 * What a clone does before a commit: changed disk images become index and packs, staged CVL is formatted, what is staged is
 * checked. It works on the index that git commits and leaves alone what is not staged.
 */
import path from "node:path";
import type { Diagnostic } from "../diagnostics.ts";
import { renderDiagnostic } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import { topFolderOf } from "../git/commit-folder.ts";
import { openGitObjects, type GitObjects } from "../git/objects.ts";
import { commitFiles } from "../git/tree.ts";
import { LOCK_FILE } from "../appliance/lock.ts";
import { withMirrors } from "../appliance/mirrors.ts";
import { readCommittedRoot } from "../appliance/root-file.ts";
import { MAX_VM_DESCRIPTION_BYTES, parseVmDescription } from "../appliance/vm-description.ts";
import { MAX_WITHDRAWN_BYTES, parseWithdrawn, WITHDRAWN_FILE } from "../appliance/versions.ts";
import { checkRoot, ownTexts } from "./check-root.ts";
import { formatStaged } from "./format-staged.ts";
import type { Problem } from "./problem.ts";
import type { CheckedPush } from "./received-push.ts";
import { stageDisks, type StageDisksOptions } from "./stage-disks.ts";
import { openStage, type Stage, type StagedFile } from "./stage.ts";

export interface PreCommitOptions extends StageDisksOptions {
  /** The top of the work tree. */
  readonly folder: string;
  /** The hook's environment: it names the index that is being committed. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** git decides whether there is anything to commit before it calls the hook. */
const COMMIT_AGAIN =
  "nothing else was staged: if git finds nothing to commit now, run the same `git commit` again";

/** An import that is not at hand is fetched, but nobody waits long for it. */
const FETCH_MS = 10_000;

/** Formats and stages; `problems` that are not empty must end the commit. */
export async function prepareCommit(options: PreCommitOptions): Promise<CheckedPush> {
  const stage = await openStage(options);
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

/** Only what the commit changes is checked; it is read from the index, never from the work tree. */
async function checkStaged(
  options: PreCommitOptions,
  stage: Stage,
  staged: readonly StagedFile[],
): Promise<CheckedPush> {
  const wanted = staged.filter(({ path: file }) => isChecked(file));
  if (wanted.length === 0) return { problems: [], warnings: [] };
  const tree = await stage.writeTree();
  const objects = openGitObjects(stage.top);
  try {
    return await checkFiles({ options, stage, objects, tree, wanted });
  } finally {
    await objects.close();
  }
}

function isChecked(file: string): boolean {
  return /\.(cvl|vm\.yaml|vmx)$/.test(file) || file === WITHDRAWN_FILE;
}

interface CheckFilesOptions {
  readonly options: PreCommitOptions;
  readonly stage: Stage;
  readonly objects: GitObjects;
  readonly tree: string;
  readonly wanted: readonly StagedFile[];
}

async function checkFiles({
  options,
  stage,
  objects,
  tree,
  wanted,
}: CheckFilesOptions): Promise<CheckedPush> {
  const problems: Problem[] = [];
  const warnings: Problem[] = [];
  const files = commitFiles(objects, tree, "what is staged");
  const folder = topFolderOf({ files, top: stage.top, commit: tree });
  const startedAt = Date.now();
  const fetchTimeoutMs = (): number => startedAt + FETCH_MS - Date.now();
  await withMirrors(
    async (mirrors) => {
      for (const { path: file } of wanted) {
        try {
          if (!file.endsWith(".cvl")) {
            problems.push(...checkYaml(file, await files.readFile(file, { maxBytes: maxBytesOf(file) })));
            continue;
          }
          const lockPath = path.join(stage.top, path.dirname(file), LOCK_FILE);
          const root = await readCommittedRoot(folder, { file, displayName: file, lockPath });
          const checked = await checkRoot(mirrors, root, {
            versions: "locked",
            writeLock: false,
            fetch: false,
          });
          const { errors, unreachable } = sort(checked.diagnostics);
          problems.push(...errors.map((diagnostic) => toProblem(file, diagnostic, ownTexts(checked))));
          warnings.push(
            ...unreachable.map(({ message }) => ({
              where: file,
              message: `not checked to the end: ${message}`,
            })),
          );
        } catch (error) {
          if (!(error instanceof CollectiveError)) throw error;
          problems.push({ where: file, message: error.message, hint: error.hint });
        }
      }
    },
    { cache: options.cache, fetchTimeoutMs },
  );
  return { problems, warnings };
}

/** Who is offline may commit. */
function sort(diagnostics: readonly Diagnostic[]): {
  readonly errors: readonly Diagnostic[];
  readonly unreachable: readonly Diagnostic[];
} {
  const all = diagnostics.filter(({ severity }) => severity === "error");
  return {
    errors: all.filter(({ code }) => code !== "IMPORT_UNREACHABLE"),
    unreachable: all.filter(({ code }) => code === "IMPORT_UNREACHABLE"),
  };
}

function maxBytesOf(file: string): number {
  return file === WITHDRAWN_FILE ? MAX_WITHDRAWN_BYTES : MAX_VM_DESCRIPTION_BYTES;
}

function checkYaml(file: string, content: Buffer): readonly Problem[] {
  const text = content.toString("utf8");
  const { diagnostics } =
    file === WITHDRAWN_FILE ? parseWithdrawn(text, file) : parseVmDescription(text, file);
  return diagnostics.map((diagnostic) => toProblem(file, diagnostic, () => text));
}

function toProblem(
  where: string,
  { hint, ...diagnostic }: Diagnostic,
  textOf: (file: string) => string | undefined,
): Problem {
  return { where, message: renderDiagnostic(diagnostic, textOf), hint };
}
