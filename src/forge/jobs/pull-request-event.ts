/** The pull request a job runs for: the few fields of its event that are used, each checked. */
import * as z from "zod";
import { CollectiveError } from "../../errors.ts";
import type { RepositoryName } from "../forge.ts";
import { parseRepositoryName } from "../repository-name.ts";
import type { JobContext } from "./job.ts";
import { commitIdSchema } from "../../git/commit-id-schema.ts";

export interface PullRequestEvent {
  readonly repository: RepositoryName;
  readonly number: number;
  /** 40 hex digits. */
  readonly base: string;
  readonly head: string;
  /** From another repository: no token may be lent to it, and its own may only read. */
  readonly isFork: boolean;
}

const commit = commitIdSchema;
const repo = z.object({ full_name: z.string().max(200) });

const schema = z.object({
  pull_request: z.object({
    number: z
      .int()
      .min(1)
      .max(2 ** 31),
    head: z.object({ sha: commit, repo: repo.nullable() }),
    base: z.object({ sha: commit, repo }),
  }),
});

/** @throws CollectiveError FORGE_EVENT_UNEXPECTED. */
export function readPullRequestEvent({ event, env }: Pick<JobContext, "event" | "env">): PullRequestEvent {
  const result = schema.safeParse(event);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new CollectiveError(
      "FORGE_EVENT_UNEXPECTED",
      `this job runs for a pull request, and its event has none (${issue?.path.join(".") || "it is no map"})`,
      { hint: "start it with `on: pull_request`" },
    );
  }
  const { number, head, base } = result.data.pull_request;
  const isFork = head.repo?.full_name.toLowerCase() !== base.repo.full_name.toLowerCase();
  const repository = parseRepositoryName(env["GITHUB_REPOSITORY"] ?? base.repo.full_name);
  return { repository, number, head: head.sha, base: base.sha, isFork };
}
