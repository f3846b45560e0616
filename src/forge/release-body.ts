/** What a release says about a version: notes, what an update does, the CVL difference. All of it escaped, and bounded. */
import { formatBytes } from "../plan/format.ts";
import { fencedBlock, escapeName, escapeText } from "../plan/escape-markdown.ts";
import type { PlannedNetwork } from "../plan/markdown-model.ts";
import { renderPlanMarkdown } from "../plan/render-markdown.ts";
import type { LockChange } from "../appliance/move-lock.ts";
import type { VersionDifference } from "../preview/version-difference.ts";
import type { ImageDifference, ImageReason } from "../appliance/compare-machine-images.ts";
import type { VersionNotes } from "../appliance/version-notes.ts";

/** GitHub takes 125,000 characters; the parts together stay below half of it. */
const LONGEST_PLAN = 20_000;
const LONGEST_NOTES = 15_000;
const LONGEST_DIFF = 20_000;
const MOST_LINES = 50;

export interface ReleaseBodyOptions {
  /** What an update does to those who run the appliance as it is; empty when a side cannot be evaluated. */
  readonly planned: readonly PlannedNetwork[];
}

/** Markdown without a newline at its end. */
export function renderReleaseBody(difference: VersionDifference, { planned }: ReleaseBodyOptions): string {
  const sections = [
    section("Notes", renderNotes(difference.notes)),
    ...(difference.from === undefined ? [] : [renderUpdate(difference, difference.from.version, planned)]),
    section("Machines", renderImages(difference)),
    section("Imports", renderImports(difference.imports)),
    section("CVL", renderDiff(difference)),
  ];
  return sections.filter((text) => text !== "").join("\n\n");
}

function section(title: string, text: string): string {
  return text === "" ? "" : `### ${title}\n\n${text}`;
}

/** A tag's message as it was laid out, subjects as a list. */
function renderNotes(notes: readonly VersionNotes[]): string {
  let left = LONGEST_NOTES;
  const parts: string[] = [];
  for (const { version, from, text, withdrawn } of notes) {
    const mark = withdrawn === undefined ? "" : ` (withdrawn: ${escapeText(withdrawn)})`;
    const title = notes.length > 1 || withdrawn !== undefined ? `**v${version}**${mark}\n\n` : "";
    const lines = text.split("\n").filter((line) => line.trim() !== "");
    const body =
      from === "tag" ? fencedBlock(text, "text") : lines.map((line) => `- ${escapeText(line)}`).join("\n");
    left -= title.length + body.length;
    if (left < 0) return [...parts, `… and the notes of v${version} and before: see the tags`].join("\n\n");
    parts.push(`${title}${body}`);
  }
  return parts.join("\n\n");
}

function renderUpdate(
  { from, images, imports }: VersionDifference,
  before: number,
  planned: readonly PlannedNetwork[],
): string {
  if (planned.length > 0) {
    const wholePlan = "`cui diff` in a clone shows the whole plan";
    return section(
      `What an update from v${before} does`,
      renderPlanMarkdown(planned, { limit: LONGEST_PLAN, wholePlan }),
    );
  }
  const isQuiet =
    from !== undefined && imports.length === 0 && images.every(({ reasons }) => reasons.length === 0);
  return isQuiet
    ? section(`What an update from v${before} does`, "No machine of this repository is replaced.")
    : "";
}

function renderImages({ images, fetchBytes, from }: VersionDifference): string {
  const changed = images.filter(({ reasons }) => reasons.length > 0);
  if (changed.length === 0) return "";
  const lines = changed
    .slice(0, MOST_LINES)
    .map((image) => `| ${escapeCell(image.file)} | ${listReasons(image)} | ${bytesOf(image.fetchBytes)} |`);
  const more = changed.length > MOST_LINES ? `\n\n… and ${changed.length - MOST_LINES} more` : "";
  const host = from === undefined ? "a new host" : `a host that runs v${from.version}`;
  const total = `In all ${host} fetches ${bytesOf(fetchBytes)}.`;
  return (
    ["| VM description | new | to fetch |", "| --- | --- | --- |", ...lines].join("\n") +
    `${more}\n\n${total}`
  );
}

/** In a table a bar would end the cell, also within code. */
function escapeCell(name: string): string {
  return escapeName(name).replaceAll("|", "\\|");
}

function listReasons({ reasons }: ImageDifference): string {
  return reasons.map(nameReason).join(", ");
}

function nameReason(reason: ImageReason): string {
  if (reason.kind === "disk") return `disk ${escapeCell(reason.disk)}`;
  if (reason.kind === "new") return "the machine";
  return reason.kind === "removed" ? "removed" : reason.kind;
}

function bytesOf(bytes: number | undefined): string {
  return bytes === undefined ? "unknown" : formatBytes(bytes);
}

function renderImports(imports: readonly LockChange[]): string {
  const lines = imports.slice(0, MOST_LINES).map(({ url, from, to }) => {
    const step =
      from === undefined ? `v${to ?? 0} is new` : to === undefined ? `v${from} is gone` : `v${from} → v${to}`;
    return `- ${escapeText(url)}: ${step}`;
  });
  if (imports.length > MOST_LINES) lines.push(`- … and ${imports.length - MOST_LINES} more`);
  return lines.join("\n");
}

function renderDiff({ cvl, from, to }: VersionDifference): string {
  if (cvl.text === "") return "";
  const isCut = cvl.isCut || cvl.text.length > LONGEST_DIFF;
  const shown = isCut ? cvl.text.slice(0, LONGEST_DIFF).replace(/\n[^\n]*$/, "") : cvl.text.trimEnd();
  const command = `git diff v${from?.version ?? 0} v${to.version}`;
  return fencedBlock(shown, "diff") + (isCut ? `\n\nCut here; the rest: \`${command}\`` : "");
}
