/** The default branch is neither deleted nor rewound, and its list of withdrawn versions stays readable. */
import { renderDiagnostic } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import { gitStatus } from "../git/git.ts";
import { commitFiles } from "../git/tree.ts";
import { MAX_WITHDRAWN_BYTES, parseWithdrawn, WITHDRAWN_FILE } from "../appliance/versions.ts";
import type { ReceivedPush } from "./received-push.ts";
import type { Problem } from "./problem.ts";
import { shortRef, type RefUpdate } from "./ref-updates.ts";

/** What a push would do to the repository's default branch. */
export async function checkBranches(push: ReceivedPush): Promise<readonly Problem[]> {
  const { folder } = push;
  const { stdout } = await gitStatus({ folder, args: ["symbolic-ref", "--quiet", "HEAD"] });
  const update = push.updates.find(({ ref }) => ref === stdout.trim());
  if (update === undefined) return [];
  const where = shortRef(update.ref);
  if (update.after === undefined) return [deleted(where)];
  if (await isRewound(push, update)) return [rewound(where)];
  return checkWithdrawn(push, where, update.after);
}

async function isRewound({ folder, env }: ReceivedPush, { before, after }: RefUpdate): Promise<boolean> {
  if (before === undefined || after === undefined) return false;
  const args = ["merge-base", "--is-ancestor", before, after];
  return (await gitStatus({ folder, env, args })).exitCode !== 0;
}

/** Readers ignore a list they cannot read: then what was withdrawn would be taken again. */
async function checkWithdrawn(
  { objects }: ReceivedPush,
  where: string,
  commit: string,
): Promise<readonly Problem[]> {
  const files = commitFiles(objects, commit, where);
  try {
    const content = await files.readFile(WITHDRAWN_FILE, { maxBytes: MAX_WITHDRAWN_BYTES });
    const text = content.toString("utf8");
    const { diagnostics } = parseWithdrawn(text, WITHDRAWN_FILE);
    return diagnostics.map(({ hint, ...diagnostic }) => ({
      where,
      message: renderDiagnostic(diagnostic, () => text),
      hint: hint ?? "correct the file: as it is, no version would count as withdrawn",
    }));
  } catch (error) {
    if (!(error instanceof CollectiveError)) throw error;
    if (error.code === "REPOSITORY_FILE_MISSING") return [];
    return [{ where, message: error.message, hint: error.hint }];
  }
}

function rewound(where: string): Problem {
  return {
    where,
    message: "commits of the default branch would be lost",
    hint: "git pull --rebase, then push without --force",
  };
}

function deleted(where: string): Problem {
  return { where, message: "the default branch is never deleted" };
}
