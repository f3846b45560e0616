/** The job of a pushed version: its release, and word to its dependents. Of a push to the default branch: the next version. */
import { CollectiveError } from "../../errors.ts";
import { withMirrors } from "../../appliance/mirrors.ts";
import type { Version } from "../../appliance/versions.ts";
import { checkPublished } from "../../publish/check-published.ts";
import { hasErrors } from "../../diagnostics.ts";
import { workflowNote } from "../annotations.ts";
import type { JobContext, JobResult } from "./job.ts";
import { createVersionTag, findNextVersion } from "./next-version.ts";
import { printDiagnostics } from "./print-diagnostics.ts";
import { readPublishTrigger, type PublishTrigger } from "./publish-event.ts";
import { movedTag, publishVersion, refuse, tellDependents } from "./publish-version.ts";
import type { PublishInputs, PublishWork } from "./publish-work.ts";
import { markReleases, readWithdrawn } from "./withdrawn-releases.ts";

/**
 * Running it again, at any point, comes to the same tags and releases. A version with a mistake gets none: `isFailed`.
 * @throws CollectiveError FORGE_…, REPOSITORY_….
 */
export async function runPublishJob(inputs: PublishInputs, job: JobContext): Promise<JobResult> {
  const trigger = readPublishTrigger(job);
  if (trigger.kind === "other") {
    job.print(workflowNote("notice", "nothing to publish", "no version's tag and not the default branch"));
    return { outputs: { outcome: "none" } };
  }
  if (trigger.kind === "deleted-tag") {
    const message = `v${trigger.version} was deleted; whoever locked it is stuck: push the tag again at the same commit`;
    job.print(workflowNote("error", "VERSION_MOVED", message));
    return { outputs: { outcome: "refused" }, isFailed: true };
  }
  if (trigger.kind === "tag") return inMirror(inputs, job, (work) => publishTag(work, trigger));
  return publishBranch(inputs, job, trigger.pushed);
}

/** Each call fetches anew. */
async function inMirror<Result>(
  inputs: PublishInputs,
  job: JobContext,
  act: (work: PublishWork) => Promise<Result>,
): Promise<Result> {
  return withMirrors(
    job.git,
    async (mirrors) => {
      const mirror = await mirrors.get(inputs.url);
      await mirror.fetch();
      return act({ inputs, job, mirrors, mirror });
    },
    { cache: inputs.cache },
  );
}

async function publishTag(
  work: PublishWork,
  trigger: Extract<PublishTrigger, { kind: "tag" }>,
): Promise<JobResult> {
  const moved = await movedTag(work, trigger);
  if (moved !== undefined) return refuse(work, [moved]);
  const found = await work.mirror.commitOf(trigger.version);
  return publishVersion(work, { version: trigger.version, commit: found?.commit ?? "" });
}

async function publishBranch(inputs: PublishInputs, job: JobContext, pushed: string): Promise<JobResult> {
  const marked = await inMirror(inputs, job, markWithdrawn);
  if (marked.isFailed === true || inputs.tag === "pushed") return marked;
  const next = await tagNext(inputs, job, pushed);
  if ("outputs" in next) return { ...next, outputs: { ...marked.outputs, ...next.outputs } };
  const published = await inMirror(inputs, job, (work) => publishVersion(work, next));
  return { ...published, outputs: { ...marked.outputs, ...published.outputs } };
}

async function markWithdrawn(work: PublishWork): Promise<JobResult> {
  const withdrawn = await readWithdrawn(work);
  if (withdrawn === undefined) return { outputs: { outcome: "refused" }, isFailed: true };
  const changed = await markReleases(work, withdrawn);
  for (const { version, commit } of changed) await tellDependents(work, { version, commit });
  const tags = changed.map(({ version }) => `v${version}`);
  if (tags.length > 0) work.job.print(`marked: ${tags.join(", ")}`);
  return { outputs: { outcome: tags.length > 0 ? "marked" : "none", marked: tags.join(",") } };
}

const TRIES = 5;

/** The version that `pushed` is, or was made just now; else why it is none. A mistake is found before there is a tag. */
async function tagNext(inputs: PublishInputs, job: JobContext, pushed: string): Promise<Version | JobResult> {
  for (let attempt = 1; attempt <= TRIES; attempt += 1) {
    const answer = await inMirror(inputs, job, async (work): Promise<Version | JobResult | undefined> => {
      const next = await findNextVersion({ mirrors: work.mirrors, url: work.mirror.url, commit: pushed });
      if (next.kind === "none") {
        job.print(`no new version: ${next.why}`);
        return { outputs: {} };
      }
      const version = { version: next.version, commit: pushed };
      if (next.kind === "tagged") return version;
      const checked = await checkPublished({ mirrors: work.mirrors, url: work.mirror.url, ...version });
      if (hasErrors(checked.diagnostics)) {
        printDiagnostics(job, checked.diagnostics, checked.textOf);
        return { outputs: { outcome: "refused" }, isFailed: true };
      }
      job.signal?.throwIfAborted();
      return (await createVersionTag(job.forge(), inputs.repository, version)) ? version : undefined;
    });
    if (answer !== undefined) return answer;
  }
  throw new CollectiveError(
    "FORGE_CONFLICT",
    "another publish took every number that was to be the next version",
    {
      hint: "run the job again: it starts from what is there now",
    },
  );
}
