/**
 * How far a site's commits were carried out, as a file of the state, so that nothing is repeated, skipped or rolled back:
 *
 * ```
 * rollouts/@root.json        of a site at the top of its repository; rollouts/<folder>.json of one below
 * ```
 */
import * as z from "zod";
import { CollectiveError } from "../../errors.ts";
import { textIn, type StateSnapshot } from "./state-snapshot.ts";
import type { StateStore } from "./state-store.ts";
import { parseRecord, STATE_FORMAT, toFile } from "./state.ts";
import { commitIdSchema } from "../../git/commit-id-schema.ts";

const commit = commitIdSchema;

const schema = z.object({
  format: z.literal(STATE_FORMAT),
  /** The newest commit that was looked at, whatever became of it. */
  evaluated: z.object({
    commit,
    /** Whose policy was in force then; null: its own, of a first rollout without a parent. */
    policy: commit.nullable(),
    outcome: z.enum(["done", "refused", "failed"]),
    /** Digest of the approvals there were: another one is a reason to look again. */
    evidence: z.string(),
    reason: z.string(),
    at: z.string(),
  }),
  /** The newest commit that everything ran as. */
  applied: z.object({ commit, at: z.string() }).nullable(),
});

export type RolloutRecord = z.infer<typeof schema>;

export function readRolloutRecord(snapshot: StateSnapshot, folder: string): RolloutRecord | undefined {
  const file = rolloutFile(folder);
  const text = textIn(snapshot, file);
  return text === undefined ? undefined : parseRecord({ schema, text, file });
}

export async function writeRolloutRecord(
  store: StateStore,
  folder: string,
  { evaluated }: Pick<RolloutRecord, "evaluated">,
): Promise<void> {
  await store.update((snapshot) => {
    const isDone = evaluated.outcome === "done";
    const applied = isDone
      ? { commit: evaluated.commit, at: evaluated.at }
      : (readRolloutRecord(snapshot, folder)?.applied ?? null);
    const record: RolloutRecord = { format: STATE_FORMAT, evaluated, applied };
    const message = `rollout of ${evaluated.commit.slice(0, 12)}: ${evaluated.outcome}`;
    return { message, files: new Map([[rolloutFile(folder), toFile(record)]]) };
  });
}

/**
 * - `first`: nothing was rolled out before.
 * - `next`: it descends from what was looked at last.
 * - `again`: it is what was looked at last.
 * - `superseded`: something newer of the branch was looked at already.
 */
export type Position = "first" | "next" | "again" | "superseded" | "rewound";

/**
 * Where a commit stands towards what was done. `tip` is the newest commit of the protected branch.
 * @throws CollectiveError ROLLOUT_REWIND when the branch does not descend from what was looked at, unless somebody accepted it.
 */
export async function positionOf(options: {
  readonly isAncestor: (older: string, newer: string) => Promise<boolean>;
  readonly record: RolloutRecord | undefined;
  readonly commit: string;
  readonly tip: string;
  readonly acceptRewind?: string | undefined;
}): Promise<Position> {
  const { isAncestor, record, commit: wanted, tip } = options;
  if (record === undefined) return "first";
  const last = record.evaluated.commit;
  if (last === wanted) return "again";
  if (await isAncestor(last, wanted)) return "next";
  const isNewer = await isAncestor(last, tip);
  if (isNewer && (await isAncestor(wanted, last))) return "superseded";
  if (options.acceptRewind === wanted) return "rewound";
  throw new CollectiveError(
    "ROLLOUT_REWIND",
    `the branch was moved to ${wanted}, which does not descend from ${last}, the newest commit that was rolled out; nothing was changed`,
    {
      data: { commit: wanted, last },
      hint: `find out who moved the branch and why: \`git push <remote> ${last}:<branch>\` puts it back; docs/operations.md says how a rewind that is right is accepted`,
    },
  );
}

function rolloutFile(folder: string): string {
  return `rollouts/${folder === "" ? "@root" : folder}.json`;
}
