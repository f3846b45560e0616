/** The default branch is neither deleted nor rewound. */
import type { ReceivedPush } from "./received-push.ts";
import { refusal, type HookDiagnostic } from "./hook-diagnostic.ts";
import { shortRef, type RefUpdate } from "./ref-updates.ts";

/** What a push would do to the repository's default branch. */
export async function checkBranches(push: ReceivedPush, branch: string): Promise<readonly HookDiagnostic[]> {
  const update = push.updates.find(({ ref }) => ref === branch);
  if (update === undefined) return [];
  const where = shortRef(update.ref);
  if (update.after === undefined) return [deleted(where)];
  return (await isRewound(push, update)) ? [rewound(where)] : [];
}

async function isRewound({ git }: ReceivedPush, { before, after }: RefUpdate): Promise<boolean> {
  if (before === undefined || after === undefined) return false;
  const args = ["merge-base", "--is-ancestor", before, after];
  return (await git.status({ args })).exitCode !== 0;
}

function rewound(where: string): HookDiagnostic {
  return refusal(
    where,
    "BRANCH_REWOUND",
    "commits of the default branch would be lost",
    "git pull --rebase, then push without --force",
  );
}

function deleted(where: string): HookDiagnostic {
  return refusal(where, "BRANCH_REWOUND", "the default branch is never deleted");
}
