/** A commit's status under one name, written only when it changes. */
import { createOnce } from "./create-once.ts";
import { repositoryParameters, type Forge, type RepositoryName } from "./forge.ts";

export interface CommitStatus {
  readonly repository: RepositoryName;
  readonly sha: string;
  /** `collective/plan` */
  readonly context: string;
  readonly state: "error" | "failure" | "pending" | "success";
  /** Cut at GitHub's 140 characters. */
  readonly description: string;
  readonly url?: string;
}

const MAXIMUM_DESCRIPTION = 140;

/** Resolves to false when the newest status of that name says the same already. */
export async function setCommitStatus(forge: Forge, status: CommitStatus): Promise<boolean> {
  const { repository, sha, context, state, url } = status;
  const description = shorten(status.description);
  const target = repositoryParameters(repository);
  const { isNew } = await createOnce(forge, {
    find: async () => {
      const { data } = await forge.rest.repos.getCombinedStatusForRef({ ...target, ref: sha, per_page: 100 });
      return data.statuses.find(
        (entry) =>
          entry.context === context &&
          entry.state === state &&
          entry.description === description &&
          (url === undefined || entry.target_url === url),
      );
    },
    create: async () => {
      const words = { context, state, description, ...(url === undefined ? {} : { target_url: url }) };
      return (await forge.rest.repos.createCommitStatus({ ...target, sha, ...words })).data;
    },
  });
  return isNew;
}

/** Of a status or a deployment: one line of at most 140 characters. */
export function shorten(text: string): string {
  const line = text.replaceAll(/\s+/g, " ").trim();
  return line.length <= MAXIMUM_DESCRIPTION ? line : `${line.slice(0, MAXIMUM_DESCRIPTION - 1)}…`;
}
