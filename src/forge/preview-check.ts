/** The check run `collective/plan`: whether a head can be planned, and what its approval means, for the rollout to read again. */
import type { Approval } from "../plan/approval.ts";
import type { PlannedNetwork } from "../plan/markdown-model.ts";
import type { Annotation } from "./annotations.ts";
import { reportCheckRun, type CheckRunResult } from "./check-run.ts";
import type { Forge, RepositoryName } from "./forge.ts";
import { previewTitle } from "./preview-comment.ts";

export const PLAN_CHECK = "collective/plan";

export interface PreviewCheck {
  readonly repository: RepositoryName;
  readonly name: string;
  readonly networks: readonly PlannedNetwork[];
  readonly approval: Approval;
  readonly summary: string;
  readonly isApplicable: boolean;
  readonly annotations?: readonly Annotation[];
}

/** Success when it can be planned; approving it is for people. */
export async function reportPreviewCheck(forge: Forge, check: PreviewCheck): Promise<CheckRunResult> {
  const { repository, name, networks, approval, summary, isApplicable, annotations = [] } = check;
  return reportCheckRun(forge, {
    repository,
    name,
    sha: approval.head,
    conclusion: isApplicable ? "success" : "failure",
    title: previewTitle(networks),
    summary,
    annotations,
    text: approvalBlock(approval),
  });
}

/** No text of an approval can end the block: JSON has a backtick only inside strings, where it is escaped. */
function approvalBlock(approval: Approval): string {
  const json = JSON.stringify(approval).replaceAll("`", "\\u0060");
  return `\`\`\`json collective-approval\n${json}\n\`\`\``;
}
