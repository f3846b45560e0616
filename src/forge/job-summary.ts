/** The page GitHub shows for a job: Markdown appended to the file a step is given. */
import { appendFile, readFile } from "node:fs/promises";

/** GitHub drops a step's summary past 1 MiB. */
const MAXIMUM_BYTES = 1024 * 1024 - 1;

/**
 * Appends `markdown` to the file `GITHUB_STEP_SUMMARY` names; false where there is none, where it stands there already, or
 * where it would not fit.
 */
export async function writeJobSummary(
  env: Readonly<Record<string, string | undefined>>,
  markdown: string,
): Promise<boolean> {
  const file = env["GITHUB_STEP_SUMMARY"] ?? "";
  if (file === "") return false;
  const before = await readFile(file, "utf8").catch(() => "");
  const text = `${markdown.trimEnd()}\n`;
  if (before.includes(text) || Buffer.byteLength(before) + Buffer.byteLength(text) > MAXIMUM_BYTES)
    return false;
  await appendFile(file, text);
  return true;
}
