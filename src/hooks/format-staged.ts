/** Formats staged CVL: in the index, and in the work tree where nothing of the file is left unstaged. */
import { decodeText } from "../cvl/parse/decode-text.ts";
import { format } from "../cvl/format/format.ts";
import { MAX_FILE_CHARACTERS } from "../cvl/limits.ts";
import { openGitObjects, type GitObjects } from "../git/objects.ts";
import { inFilesOf, refusal, type HookDiagnostic } from "./hook-diagnostic.ts";
import type { Stage, StagedFile } from "./stage.ts";

export interface FormattedStage {
  /** Files that are formatted now. */
  readonly changed: readonly string[];
  /** Syntax errors, and what cannot be formatted here. */
  readonly refusals: readonly HookDiagnostic[];
}

/** Nothing changes when something is refused. */
export async function formatStaged(stage: Stage, staged: readonly StagedFile[]): Promise<FormattedStage> {
  const wanted = staged.filter(({ path }) => path.endsWith(".cvl"));
  if (wanted.length === 0) return { changed: [], refusals: [] };
  const objects = openGitObjects(stage.git);
  try {
    const results = await Promise.all(wanted.map((file) => formatOne(objects, file)));
    const refusals = results.flatMap((result) => result.refusals);
    const changed = results.filter(({ isChanged }) => isChanged);
    if (refusals.length > 0) return { changed: [], refusals };
    if (changed.length > 0 && stage.isPartial) {
      return { changed: [], refusals: changed.map(({ file }) => notFormatted(file.path)) };
    }
    for (const { file, text } of changed) await replace(stage, file, text);
    return { changed: changed.map(({ file }) => file.path), refusals: [] };
  } finally {
    await objects.close();
  }
}

interface FormattedFile {
  readonly file: StagedFile;
  readonly text: string;
  readonly isChanged: boolean;
  readonly refusals: readonly HookDiagnostic[];
}

async function formatOne(objects: GitObjects, file: StagedFile): Promise<FormattedFile> {
  const refuse = (...refusals: HookDiagnostic[]): FormattedFile => ({
    ...{ file, text: "", isChanged: false, refusals },
  });
  const { path: where, mode, oid } = file;
  if (!mode.startsWith("100"))
    return refuse(refusal(where, "FILE_REFUSED", "it is no plain file, so nobody could read it"));
  const info = await objects.info(oid);
  if ((info?.sizeBytes ?? 0) > MAX_FILE_CHARACTERS)
    return refuse(refusal(where, "FILE_REFUSED", "it is too large for CVL"));
  const { text, diagnostics: unreadable } = decodeText(
    (await objects.contents(oid))?.content ?? Buffer.alloc(0),
    where,
  );
  const formatted = format(text, where);
  const mistakes = inFilesOf(where, [...unreadable, ...formatted.diagnostics], () => text);
  if (mistakes.length > 0) return refuse(...mistakes);
  return { file, text: formatted.text, isChanged: formatted.text !== text, refusals: [] };
}

/** The work tree follows only where that loses nothing: a half staged file keeps its other half as it is. */
async function replace(stage: Stage, file: StagedFile, text: string): Promise<void> {
  const isClean = await stage.isClean(file);
  const oid = (await stage.run({ args: ["hash-object", "-w", "--stdin"], input: text })).trim();
  const entry = `${file.mode} ${oid}\t${file.path}\0`;
  await stage.run({ args: ["update-index", "-z", "--index-info"], input: entry });
  if (isClean)
    await stage.run({ args: ["checkout-index", "--force", "--index", "--", file.path], lfsFilters: true });
}

function notFormatted(where: string): HookDiagnostic {
  return refusal(
    where,
    "CVL_FORMAT",
    "it is not formatted, and git commits named files from a copy of the index that a hook cannot change",
    `cui fmt ${where}, then commit again; or git add it and commit without naming files`,
  );
}
