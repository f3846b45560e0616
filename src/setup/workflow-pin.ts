/** Which release of Collective's actions a workflow uses: a full commit, found once, when the workflow is written. */
import { CollectiveError } from "../errors.ts";
import type { Git } from "../git/git.ts";
import { isCommitId } from "../git/commit-id.ts";
import { listRemoteRefs } from "../git/refs.ts";

/** A release of Collective's actions as somebody names it. */
export interface ActionsRelease {
  /** `acme/collective` */
  readonly repository: string;
  /** A tag, a branch or a commit. */
  readonly name: string;
}

export interface ActionsPin {
  /** `acme/collective` */
  readonly repository: string;
  readonly commit: string;
  /** What the commit was called: `v1`. */
  readonly name: string;
}

/** What the templates hold until a pin is known: a commit that is none, so that GitHub refuses to run it. */
const UNKNOWN_REPOSITORY = "your-organisation/collective";
const UNKNOWN_COMMIT = `${"0".repeat(40)} # set by cui init --actions`;

/**
 * A commit as it is; of a tag or a branch the commit it has now, asked of `server`.
 * @throws CollectiveError REPOSITORY_UNREACHABLE when it cannot be found.
 */
export async function resolveActionsPin(
  git: Git,
  { repository, name }: ActionsRelease,
  server: string,
): Promise<ActionsPin> {
  if (isCommitId(name)) return { repository, commit: name, name: "pinned" };
  const url = `${server.replace(/\/$/, "")}/${repository}`;
  const wanted = [`refs/tags/${name}^{}`, `refs/tags/${name}`, `refs/heads/${name}`];
  const { ids } = await listRemoteRefs(git, { of: url, patterns: wanted }).catch((error: unknown) => {
    throw notFound(url, name, error);
  });
  const commit = wanted.map((ref) => ids.get(ref)).find((found) => found !== undefined);
  if (commit === undefined) throw notFound(url, name, undefined);
  return { repository, commit, name };
}

/** The text of a workflow with the pin put in; without one, as it is. */
export function pinActions(text: string, pin: ActionsPin | undefined): string {
  if (pin === undefined) return text;
  return text
    .replaceAll(UNKNOWN_REPOSITORY, pin.repository)
    .replaceAll(UNKNOWN_COMMIT, `${pin.commit} # ${pin.name}`);
}

function notFound(url: string, name: string, cause: unknown): CollectiveError {
  return new CollectiveError("REPOSITORY_UNREACHABLE", `cannot find ${name} of ${url}`, {
    hint: "check the name, or give the commit itself: owner/repo@<40 hex digits>",
    cause,
  });
}
