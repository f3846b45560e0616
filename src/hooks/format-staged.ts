/** Formats staged CVL: in the index, and in the work tree where nothing of the file is left unstaged. */
import { decodeText } from "../cvl/parse/decode-text.ts";
import { format } from "../cvl/format/format.ts";
import { MAX_FILE_CHARACTERS } from "../cvl/limits.ts";
import { renderDiagnostic } from "../diagnostics.ts";
import { openGitObjects, type GitObjects } from "../git/objects.ts";
import type { Problem } from "./problem.ts";
import type { Stage, StagedFile } from "./stage.ts";

export interface FormattedStage {
  /** Files that are formatted now. */
  readonly changed: readonly string[];
  /** Syntax errors, and what cannot be formatted here. */
  readonly problems: readonly Problem[];
}

/** Nothing changes when there are problems. */
export async function formatStaged(stage: Stage, staged: readonly StagedFile[]): Promise<FormattedStage> {
  const wanted = staged.filter(({ path }) => path.endsWith(".cvl"));
  if (wanted.length === 0) return { changed: [], problems: [] };
  const objects = openGitObjects(stage.git);
  try {
    const results = await Promise.all(wanted.map((file) => formatOne(objects, file)));
    const problems = results.flatMap((result) => result.problems);
    const changed = results.filter(({ isChanged }) => isChanged);
    if (problems.length > 0) return { changed: [], problems };
    if (changed.length > 0 && stage.isPartial) {
      return { changed: [], problems: changed.map(({ file }) => notFormatted(file.path)) };
    }
    for (const { file, text } of changed) await replace(stage, file, text);
    return { changed: changed.map(({ file }) => file.path), problems: [] };
  } finally {
    await objects.close();
  }
}

interface FormattedFile {
  readonly file: StagedFile;
  readonly text: string;
  readonly isChanged: boolean;
  readonly problems: readonly Problem[];
}

async function formatOne(objects: GitObjects, file: StagedFile): Promise<FormattedFile> {
  const refuse = (...problems: Problem[]): FormattedFile => ({ file, text: "", isChanged: false, problems });
  const { path: where, mode, oid } = file;
  if (!mode.startsWith("100"))
    return refuse({ where, message: "it is no plain file, so nobody could read it" });
  const info = await objects.info(oid);
  if ((info?.sizeBytes ?? 0) > MAX_FILE_CHARACTERS)
    return refuse({ where, message: "it is too large for CVL" });
  const { text, diagnostics: unreadable } = decodeText(
    (await objects.contents(oid))?.content ?? Buffer.alloc(0),
    where,
  );
  const formatted = format(text, where);
  const problems = [...unreadable, ...formatted.diagnostics].map(({ hint, ...diagnostic }): Problem => ({
    where,
    message: renderDiagnostic(diagnostic, () => text),
    hint,
  }));
  if (problems.length > 0) return refuse(...problems);
  return { file, text: formatted.text, isChanged: formatted.text !== text, problems: [] };
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

function notFormatted(where: string): Problem {
  return {
    where,
    message:
      "it is not formatted, and git commits named files from a copy of the index that a hook cannot change",
    hint: `cui fmt ${where}, then commit again; or git add it and commit without naming files`,
  };
}
