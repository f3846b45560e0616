/** A rollout as GitHub shows it: a deployment of the commit and a commit status, each once however often it is reported. */
import { visible } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import { setCommitStatus } from "./commit-status.ts";
import { recordDeployment, type DeploymentRecord } from "./deployment.ts";
import type { Forge, RepositoryName } from "./forge.ts";

const APPLY_STATUS = "collective/apply";

export interface RolloutNotice {
  readonly repository: RepositoryName;
  readonly commit: string;
  /** `production` */
  readonly environment: string;
  readonly state: "running" | "done" | "refused" | "failed";
  /** One line. */
  readonly text: string;
  readonly logUrl?: string | undefined;
}

const DEPLOYMENT_STATES = {
  running: "in_progress",
  done: "success",
  refused: "failure",
  failed: "error",
} as const satisfies Record<RolloutNotice["state"], DeploymentRecord["state"]>;

const COMMIT_STATES = { running: "pending", done: "success", refused: "failure", failed: "error" } as const;

/**
 * Reports as far as GitHub lets it: what runs is not undone because a status cannot be written. Resolves to the id of the
 * deployment and to what could not be reported, a line each.
 */
export async function reportRollout(
  forge: Forge,
  notice: RolloutNotice,
): Promise<{ readonly deployment: number | undefined; readonly problems: readonly string[] }> {
  const { repository, commit: sha, environment, state, text: description, logUrl } = notice;
  const problems: string[] = [];
  const attempt = async <Result>(what: string, work: () => Promise<Result>): Promise<Result | undefined> => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof CollectiveError)) throw error;
      problems.push(`${what} cannot be written: ${error.code}: ${visible(error.message)}`);
      return undefined;
    }
  };
  const link = logUrl === undefined ? {} : { logUrl };
  const deployment = await attempt("the deployment", () =>
    recordDeployment(forge, {
      ...{ repository, sha, environment, description, state: DEPLOYMENT_STATES[state] },
      ...link,
    }),
  );
  await attempt("the commit status", () =>
    setCommitStatus(forge, {
      ...{ repository, sha, description, context: APPLY_STATUS, state: COMMIT_STATES[state] },
      ...(logUrl === undefined ? {} : { url: logUrl }),
    }),
  );
  return { deployment: deployment?.id, problems };
}
