/** What a bump's pull request says: versions, preview, and of each upstream its notes, bytes and CVL difference. Escaped, and bounded. */
import { formatBytes } from "../plan/format.ts";
import { fencedBlock, escapeHtml, escapeText } from "../plan/escape-markdown.ts";
import { renderPlanMarkdown } from "../plan/render-markdown.ts";
import type { VersionChange } from "../bump/resolve-update.ts";
import type { VersionDifference } from "../preview/version-difference.ts";
import type { VersionNotes } from "../appliance/version-notes.ts";
import type { PreparedBump } from "../bump/prepare-bumps.ts";
import { repositoryLabel } from "../bump/groups.ts";

export interface BumpBodyOptions {
  readonly bump: Pick<PreparedBump, "changes" | "preview" | "group">;
  /** Of the changes, as far as they could be told. */
  readonly differences: readonly VersionDifference[];
  /** What merging publishes; undefined for a site. */
  readonly nextVersion: number | undefined;
  /** It is merged by itself once its checks have passed. */
  readonly isAutomerged: boolean;
}

/** With the hidden first line of a pull request it stays below 60,000 characters; GitHub takes 65,536. */
const LONGEST_BODY = 59_500;
const LONGEST_PREVIEW = 25_000;
const MOST_ROWS = 60;
const SMALLEST_PART = 600;

/** Markdown without a newline at its end. */
export function renderBumpBody(options: BumpBodyOptions): string {
  const parts = [renderTable(options.bump.changes), renderOutcome(options), renderPreview(options)];
  let left = LONGEST_BODY - parts.join("\n\n").length;
  const { differences } = options;
  for (const [index, difference] of differences.entries()) {
    const limit = Math.floor(left / (differences.length - index)) - 2;
    if (limit < SMALLEST_PART) {
      parts.push(`… and ${differences.length - index} more repositories: see their tags`);
      break;
    }
    const part = renderDifference(difference, limit);
    left -= part.length + 2;
    parts.push(part);
  }
  parts.push(
    "<sub>Made by `cui bump`. Commits of your own on this branch stay: it is then left alone. " +
      "Closing the pull request declines these versions; `bump.yaml` says what is proposed at all.</sub>",
  );
  return parts.filter((text) => text !== "").join("\n\n");
}

function renderTable(changes: readonly VersionChange[]): string {
  const rows = changes.slice(0, MOST_ROWS).map(({ url, pin, from, to }) => {
    const what =
      to === undefined
        ? "no longer needed"
        : from === undefined
          ? "new"
          : pin === undefined
            ? ""
            : "pinned in CVL";
    return `| ${escapeCell(url)} | ${versionText(from)} | ${versionText(to)} | ${what} |`;
  });
  const more = changes.length > MOST_ROWS ? [``, `… and ${changes.length - MOST_ROWS} more`] : [];
  return ["| repository | from | to | |", "| --- | --- | --- | --- |", ...rows, ...more].join("\n");
}

function renderOutcome({ nextVersion, isAutomerged }: BumpBodyOptions): string {
  const published = nextVersion === undefined ? "" : `Merging publishes **v${nextVersion}**.`;
  const merged = isAutomerged ? "It is merged by itself once its checks have passed." : "";
  return [published, merged].filter((text) => text !== "").join(" ");
}

function renderPreview({ bump }: BumpBodyOptions): string {
  const { networks } = bump.preview;
  if (networks.length === 0)
    return "### Preview\n\nNothing here can be started, so there is nothing to preview.";
  const wholePlan = "`cui diff` between the branches shows it";
  return `### Preview\n\n${renderPlanMarkdown(networks, { limit: LONGEST_PREVIEW, wholePlan })}`;
}

function renderDifference(difference: VersionDifference, limit: number): string {
  const { url, from, to, fetchBytes, images, withdrawn } = difference;
  const step = from === undefined ? `v${to.version}` : `v${from.version} → v${to.version}`;
  const title = `<details><summary>${escapeHtml(`${repositoryLabel(url)} ${step}`)}</summary>`;
  const changed = images.filter(({ reasons }) => reasons.length > 0).length;
  const facts = [
    ...(withdrawn === undefined ? [] : [`**Withdrawn**: ${escapeText(withdrawn)}`]),
    ...(changed === 0
      ? ["No machine image of this repository changes."]
      : [
          `${changed} machine image${changed === 1 ? "" : "s"} change${changed === 1 ? "s" : ""}; to fetch: ` +
            `${fetchBytes === undefined ? "unknown" : formatBytes(fetchBytes)}.`,
        ]),
  ].join(" ");
  const frame = [title, facts, "</details>"].join("\n\n").length + 4;
  const notes = renderNotes(difference.notes, Math.floor((limit - frame) / 2));
  const diff = renderDiff(difference, limit - frame - notes.length - 2);
  return [title, facts, notes, diff, "</details>"].filter((text) => text !== "").join("\n\n");
}

/** A tag's message as it was laid out, subjects as a list; the newest version first. */
function renderNotes(notes: readonly VersionNotes[], limit: number): string {
  const parts: string[] = [];
  let left = limit - 60;
  for (const { version, from, text, withdrawn } of notes) {
    const mark = withdrawn === undefined ? "" : ` (withdrawn: ${escapeText(withdrawn)})`;
    const lines = text.split("\n").filter((line) => line.trim() !== "");
    const body =
      from === "tag" ? fencedBlock(text, "text") : lines.map((line) => `- ${escapeText(line)}`).join("\n");
    const part = `**v${version}**${mark}${body === "" ? "" : `\n\n${body}`}`;
    left -= part.length + 2;
    if (left < 0) return [...parts, `… the notes of v${version} and before: see the tags`].join("\n\n");
    parts.push(part);
  }
  return parts.join("\n\n");
}

const DIFF_FRAME = 120;

function renderDiff({ cvl, from, to }: VersionDifference, limit: number): string {
  if (cvl.text === "" || limit < 2 * DIFF_FRAME) return "";
  const command = `git diff v${from?.version ?? 0} v${to.version}`;
  // Rendering may lengthen it (longer fences, blanks for tabs): it is cut until it fits.
  for (
    let length = Math.min(cvl.text.length, limit - DIFF_FRAME);
    length > DIFF_FRAME;
    length = Math.floor(length / 2)
  ) {
    const isCut = cvl.isCut || length < cvl.text.length;
    const shown = isCut ? cvl.text.slice(0, length).replace(/\n[^\n]*$/, "") : cvl.text.trimEnd();
    const block = fencedBlock(shown, "diff") + (isCut ? `\n\nCut here; the rest: \`${command}\`` : "");
    if (block.length <= limit) return block;
  }
  return "";
}

/** In a table a bar would end the cell, also within code. */
function escapeCell(text: string): string {
  return escapeText(text).replaceAll("|", "\\|");
}

function versionText(version: number | undefined): string {
  return version === undefined ? "" : `v${version}`;
}
