/** The full id of a commit: 40 hex digits, or 64 in a repository whose objects are named by SHA-256. */
declare const brand: unique symbol;

export type CommitId = string & { readonly [brand]: "CommitId" };

const COMMIT_ID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/** A commit's id as a stranger may write it; whether there is such a commit is another question. */
export function isCommitId(text: string): text is CommitId {
  return COMMIT_ID.test(text);
}
