/** A rollout as the Markdown of a job's summary: the outcome, why, and the real plan. */
import { escapeText } from "../plan/escape-markdown.ts";
import { renderPlanMarkdown } from "../plan/render-markdown.ts";
import { reasonLine, type NetworkReport, type RolloutReport } from "../manager/rollout/rollout-report.ts";

const WORDS: Readonly<Record<NetworkReport["outcome"], string>> = {
  done: "done",
  unchanged: "unchanged",
  refused: "**refused**, nothing was changed",
  failed: "**failed**",
  gone: "left running, its root file is gone",
};

/** `source` says where the approval came from. */
export function renderRollout(report: RolloutReport, source: string): string {
  const { commit, networks } = report;
  const lines = [
    `### Rollout of ${commit.slice(0, 12)}: ${report.outcome}`,
    "",
    `Approval: ${escapeText(source)}`,
    "",
  ];
  for (const network of networks) {
    lines.push(`- ${escapeText(network.file)}: ${WORDS[network.outcome]}`);
    for (const text of [...network.reasons, ...network.warnings]) {
      for (const line of text.split("\n").slice(0, 20)) lines.push(`  - ${escapeText(line, 500)}`);
    }
  }
  if (networks.length === 0) lines.push(`- ${escapeText(reasonLine(report))}`);
  const planned = networks.flatMap(({ file, plan }) => (plan === undefined ? [] : [{ file, plan }]));
  if (planned.length > 0) lines.push("", "The real plan:", "", renderPlanMarkdown(planned));
  return lines.join("\n");
}
