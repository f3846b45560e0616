/** What started a publish: a tag, or a push to the default branch. Read from the event's few fields that are used. */
import * as z from "zod";
import { CollectiveError } from "../../errors.ts";
import { versionOfTag } from "../../appliance/versions.ts";
import type { JobContext } from "./job.ts";
import { commitIdSchema } from "../../git/commit-id-schema.ts";

export type PublishTrigger =
  | {
      readonly kind: "tag";
      readonly version: number;
      /** The object the tag was pushed at: a commit, or an annotated tag. */
      readonly pushed: string;
      /** What it pointed at before the push; undefined when it is new, or when no push started this. */
      readonly before: string | undefined;
    }
  | { readonly kind: "deleted-tag"; readonly version: number }
  | { readonly kind: "branch"; readonly pushed: string }
  /** A tag that names no version, a branch that is not the default one. */
  | { readonly kind: "other"; readonly ref: string };

/** Of an annotated tag these are ids of tag objects. */
const objectId = z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/);
const NOTHING = "0".repeat(40);

const push = z.object({
  ref: z.string().max(1024),
  before: objectId,
  after: objectId,
  repository: z.object({ default_branch: z.string().max(1024) }),
});

const dispatch = z.object({ repository: z.object({ default_branch: z.string().max(1024) }) });

/**
 * A push, or a run that somebody started by hand on a tag or the default branch.
 * @throws CollectiveError FORGE_EVENT_UNEXPECTED.
 */
export function readPublishTrigger({ event, env }: Pick<JobContext, "event" | "env">): PublishTrigger {
  const name = env["GITHUB_EVENT_NAME"] ?? "";
  if (name === "push") {
    const parsed = push.safeParse(event);
    if (parsed.success) return triggerOf(parsed.data, parsed.data.repository.default_branch);
  }
  if (name === "workflow_dispatch") {
    const parsed = dispatch.safeParse(event);
    const commit = commitIdSchema.safeParse(env["GITHUB_SHA"]);
    if (parsed.success && commit.success) {
      const run = { ref: env["GITHUB_REF"] ?? "", before: NOTHING, after: commit.data };
      return triggerOf(run, parsed.data.repository.default_branch);
    }
  }
  throw new CollectiveError(
    "FORGE_EVENT_UNEXPECTED",
    `publish runs on a push of a tag or of the default branch, not on ${JSON.stringify(name.slice(0, 80))}`,
    { hint: "see `on:` in the workflow that `cui init` writes; a run by hand is workflow_dispatch on a tag" },
  );
}

function triggerOf(
  run: { ref: string; before: string; after: string },
  defaultBranch: string,
): PublishTrigger {
  const { ref, after } = run;
  const version = ref.startsWith("refs/tags/") ? versionOfTag(ref.slice("refs/tags/".length)) : undefined;
  if (version !== undefined) {
    if (after === NOTHING) return { kind: "deleted-tag", version };
    return { kind: "tag", version, pushed: after, before: run.before === NOTHING ? undefined : run.before };
  }
  if (ref === `refs/heads/${defaultBranch}` && after !== NOTHING) return { kind: "branch", pushed: after };
  return { kind: "other", ref };
}
