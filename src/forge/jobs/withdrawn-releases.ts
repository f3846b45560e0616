/** What `withdrawn.yaml` on the default branch says, and the releases that have to say it too. */
import {
  MAX_WITHDRAWN_BYTES,
  versionOfTag,
  WITHDRAWN_FILE,
  type Version,
  type Withdrawn,
} from "../../appliance/versions.ts";
import { markWithdrawn } from "../release.ts";
import { printDiagnostics } from "./print-diagnostics.ts";
import type { PublishWork } from "./publish-work.ts";

/** Undefined when it has a mistake, which is reported: an unreadable list must not make a bad version good again. */
export async function readWithdrawn({ job, mirror }: PublishWork): Promise<Withdrawn | undefined> {
  const { withdrawn, diagnostics } = await mirror.withdrawn();
  if (diagnostics.length === 0) return withdrawn;
  const shown = `${mirror.url}:${WITHDRAWN_FILE}`;
  const placed = diagnostics.map((diagnostic) =>
    diagnostic.span?.file === shown
      ? { ...diagnostic, span: { ...diagnostic.span, file: WITHDRAWN_FILE } }
      : diagnostic,
  );
  const tip = await mirror.branchTip();
  const limit = { maxBytes: MAX_WITHDRAWN_BYTES };
  const content =
    tip === undefined
      ? undefined
      : await mirror
          .files(tip)
          .readFile(WITHDRAWN_FILE, limit)
          .catch(() => undefined);
  printDiagnostics(job, placed, (file) => (file === WITHDRAWN_FILE ? content?.toString("utf8") : undefined));
  return undefined;
}

/** The versions whose releases were changed. */
export async function markReleases(
  { inputs, job, mirror }: PublishWork,
  withdrawn: Withdrawn,
): Promise<readonly Version[]> {
  const tags = await markWithdrawn(job.forge(), inputs.repository, withdrawn);
  const changed = new Set(tags.map(versionOfTag));
  return (await mirror.versions()).filter(({ version }) => changed.has(version));
}
