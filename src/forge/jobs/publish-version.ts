/** One version of an appliance on its forge: checked, released with what it changes, told to its dependents. */
import { hasErrors, type Diagnostic } from "../../diagnostics.ts";
import { CollectiveError } from "../../errors.ts";
import type { Oid } from "../../disk/object-store.ts";
import { describeVersionDifference } from "../../preview/version-difference.ts";
import type { Version, Withdrawn } from "../../appliance/versions.ts";
import { checkPublished, objectsOf, type CheckedVersion } from "../../publish/check-published.ts";
import { describeVersion, type DescribedFile } from "../../preview/describe-version.ts";
import { planBetweenVersions } from "../../preview/version-plan.ts";
import { workflowNote } from "../annotations.ts";
import { notifyDependents } from "../dispatch.ts";
import { writeJobSummary } from "../job-summary.ts";
import { findRelease, publishRelease } from "../release.ts";
import { renderReleaseBody } from "../release-body.ts";
import { releasedCommit } from "../release-text.ts";
import { formatRepositoryName } from "../repository-name.ts";
import type { JobResult } from "./job.ts";
import { printDiagnostics } from "./print-diagnostics.ts";
import type { PublishWork } from "./publish-work.ts";
import { markReleases, readWithdrawn } from "./withdrawn-releases.ts";
import { findCommit } from "../../git/history.ts";

/** The event dependents are sent; their workflows run bump on it. */
export const PUBLISHED_EVENT = "collective-published";

/** The mirror must have the tag. */
export async function publishVersion(work: PublishWork, version: Version): Promise<JobResult> {
  const { inputs, job, mirrors, mirror } = work;
  const withdrawn = await readWithdrawn(work);
  if (withdrawn === undefined) return { outputs: { outcome: "refused" }, isFailed: true };
  const released = await findRelease(job.forge(), inputs.repository, `v${version.version}`);
  const commit = releasedCommit(released?.body ?? "");
  if (commit !== undefined && commit !== version.commit) {
    return refuse(work, [moved(version.version, `its release was made at ${commit}`)]);
  }
  const before = await previousVersion(work, version, withdrawn);
  const checked = await checkPublished({
    mirrors,
    url: mirror.url,
    ...version,
    knownObjects: before.objects,
  });
  if (hasErrors(checked.diagnostics)) return refuse(work, checked.diagnostics, checked);
  printDiagnostics(job, checked.diagnostics, checked.textOf);
  const difference = await describeVersionDifference({
    ...{ mirrors, url: mirror.url, from: before.version?.version, to: version.version },
  });
  const planned = await planBetweenVersions(before.files, checked.networks, mirrors);
  const body = renderReleaseBody(difference, { planned });
  job.signal?.throwIfAborted();
  const tag = `v${version.version}`;
  const release = { repository: inputs.repository, tag, commit: version.commit, name: tag, body };
  const why = withdrawn.get(version.version);
  const { outcome, url } = await publishRelease(job.forge(), { ...release, withdrawn: why });
  await markReleases(work, withdrawn);
  job.print(`${tag}: release ${outcome}: ${url}`);
  await writeJobSummary(job.env, `## ${tag}\n\n${body}`);
  if (why === undefined) await tellDependents(work, version);
  return {
    outputs: {
      outcome: why === undefined ? outcome : "withdrawn",
      version: String(version.version),
      tag,
      url,
    },
  };
}

interface Previous {
  readonly version: Version | undefined;
  readonly files: readonly DescribedFile[];
  /** Checked when it was released. */
  readonly objects: ReadonlySet<Oid>;
}

/** The newest version below that is not withdrawn: what those who update come from. */
async function previousVersion(
  { inputs, job, mirrors, mirror }: PublishWork,
  { version }: Version,
  withdrawn: Withdrawn,
): Promise<Previous> {
  const below = (await mirror.versions()).filter((entry) => entry.version < version);
  const found = below.findLast((entry) => !withdrawn.has(entry.version)) ?? below.at(-1);
  if (found === undefined) return { version: undefined, files: [], objects: new Set() };
  const source = { mirrors, url: mirror.url, commit: found.commit };
  const files = await describeVersion(source).catch((error: unknown) => {
    // What a version before is like keeps none from being released.
    if (error instanceof CollectiveError) return [];
    throw error;
  });
  const release = await findRelease(job.forge(), inputs.repository, `v${found.version}`);
  const wasChecked = releasedCommit(release?.body ?? "") === found.commit;
  const objects = wasChecked ? await objectsOf(mirror, found.commit) : new Set<Oid>();
  return { version: found, files, objects };
}

/** A mistake when the tag does not point at what was pushed, or pointed somewhere else before. */
export async function movedTag(
  { mirror }: PublishWork,
  trigger: { readonly version: number; readonly pushed: string; readonly before: string | undefined },
): Promise<Diagnostic | undefined> {
  const { version, pushed, before } = trigger;
  if (before !== undefined && before !== pushed) return moved(version, `it pointed at ${before} before`);
  const found = await mirror.commitOf(version);
  if (found === undefined) return moved(version, "it is gone");
  if ((await findCommit(mirror.git, pushed)) === found.commit) return undefined;
  return moved(version, `${pushed} was pushed, and it points at ${found.commit}`);
}

function moved(version: number, how: string): Diagnostic {
  return {
    code: "VERSION_MOVED",
    severity: "error",
    message: `v${version} was moved: ${how}; nothing is released`,
    span: undefined,
    hint: "put the tag back, publish the next version instead, and let `cui protect` keep tags from being moved",
  };
}

export function refuse(
  { job }: Pick<PublishWork, "job">,
  diagnostics: readonly Diagnostic[],
  { textOf }: Pick<CheckedVersion, "textOf"> = { textOf: () => undefined },
): JobResult {
  printDiagnostics(job, diagnostics, textOf);
  return { outputs: { outcome: "refused" }, isFailed: true };
}

/** Who cannot be told finds the version at its next scheduled bump: a warning. */
export async function tellDependents(
  { inputs, job, mirror }: PublishWork,
  { version, commit }: Version,
): Promise<void> {
  const { dependents, dispatch, repository } = inputs;
  if (dependents.length === 0) return;
  if (dispatch === undefined) {
    const text = `${dependents.length} dependents are not told: a job's own token cannot reach them`;
    job.print(workflowNote("warning", "no dispatch-token", `${text}\nhint: pass dispatch-token`));
    return;
  }
  const payload = { repository: formatRepositoryName(repository), url: mirror.url, version, commit };
  const results = await notifyDependents(dispatch(), { dependents, eventType: PUBLISHED_EVENT, payload });
  for (const { repository: dependent, failure } of results) {
    const name = formatRepositoryName(dependent);
    if (failure === undefined) job.print(`told ${name}`);
    else job.print(workflowNote("warning", failure.code, `${name} is not told: ${failure.message}`));
  }
}
