/** A commit's id in a file, a record or an answer of a forge. */
import * as z from "zod";
import { isCommitId, type CommitId } from "./commit-id.ts";

export const commitIdSchema = z.custom<CommitId>(
  (value) => typeof value === "string" && isCommitId(value),
  "expected a commit: 40 or 64 hex digits",
);
