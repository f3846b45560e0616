/** The preview of a pull request as Markdown: the comment, the job summary and the check run's text. Every foreign text is escaped. */
import { escapeText } from "../plan/escape-markdown.ts";
import type { PlannedNetwork } from "../plan/markdown-model.ts";
import { renderPlanMarkdown } from "../plan/render-markdown.ts";
import { mostSevere } from "../plan/diff-networks.ts";
import type { ActionClass } from "../plan/action-kinds.ts";

export interface PreviewText {
  readonly networks: readonly PlannedNetwork[];
  /** 40 hex digits each. */
  readonly base: string;
  readonly head: string;
  /** Keys of utility.yaml whose policy the head changes. */
  readonly policyChanges: readonly string[];
  /** Where the whole plan lies, as trusted Markdown. */
  readonly wholePlan: string;
  /** Our own words that stand above all else: that the preview proves nothing, say. */
  readonly warning?: string;
}

const LIMIT = 60_000;
/** What stands around the plan is shorter than this. */
const AROUND = 3000;

/** At most 60,000 characters. */
export function renderPreviewComment(preview: PreviewText): string {
  const { networks, base, head, policyChanges, wholePlan, warning } = preview;
  const plan = renderPlanMarkdown(networks, { limit: LIMIT - AROUND, wholePlan });
  const policy = policyChanges.map((name) => escapeText(name, 40)).join(", ");
  return [
    ...(warning === undefined ? [] : [`> **${warning}**\n`]),
    plan,
    "",
    ...(policy === ""
      ? []
      : [
          `**Policy**: this changes ${policy} in \`utility.yaml\`; the preview follows the policy from before.`,
          "",
        ]),
    `<sub>Plan of ${head.slice(0, 12)} against ${base.slice(0, 12)}. The whole plan: ${wholePlan}.</sub>`,
  ].join("\n");
}

/** The most severe class of all plans. */
export function previewClass(networks: readonly PlannedNetwork[]): ActionClass {
  return mostSevere(networks.flatMap(({ plan }) => plan?.actions ?? []));
}

/** Whether anything happens to a running network, or might: one that cannot be planned counts. */
export function isChange(networks: readonly PlannedNetwork[]): boolean {
  return networks.some(({ plan }) => plan === null || plan.actions.some(({ kind }) => kind !== "note"));
}

/** One line of our own words. */
export function previewTitle(networks: readonly PlannedNetwork[]): string {
  const broken = networks.filter(({ plan }) => plan === null).length;
  const refused = networks.filter(({ plan }) => (plan?.refusals.length ?? 0) > 0).length;
  if (broken > 0) return `${broken} of ${networks.length} cannot be planned`;
  if (refused > 0) return `The plan of ${refused} of ${networks.length} is refused`;
  if (!isChange(networks)) return "Nothing to do";
  const count = networks.reduce((sum, { plan }) => sum + (plan?.actions.length ?? 0), 0);
  return `${count} action${count === 1 ? "" : "s"}, class ${previewClass(networks)}`;
}
