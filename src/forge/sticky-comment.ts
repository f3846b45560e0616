/**
 * One comment on a pull request that is edited in place. It is found again by a hidden first line and by its author: a
 * comment of somebody else that carries the line is not ours.
 */
import { createHash } from "node:crypto";
import { collectPages } from "./pages.ts";
import { createOnce } from "./create-once.ts";
import { hasCode } from "./forge-error.ts";
import { repositoryParameters, type Forge, type RepositoryName } from "./forge.ts";

export interface StickyComment {
  readonly repository: RepositoryName;
  readonly pullNumber: number;
  /** What the comment is about, one comment for each: the site's folder, say. May be hostile; only a digest is shown. */
  readonly key: string;
  /** Markdown; `renderPlanMarkdown` keeps it within GitHub's limit. */
  readonly body: string;
  /** The commit the body speaks of: nothing is written when the pull request's head is another one by now. */
  readonly head?: string;
}

export interface StickyCommentResult {
  readonly outcome: "created" | "updated" | "unchanged" | "superseded";
  /** Absent when superseded. */
  readonly url?: string;
}

interface Comment {
  readonly id: number;
  readonly body?: string;
  readonly html_url: string;
  readonly user: { readonly login: string } | null;
}

/** Deleted under our hands by a run at the same time: then it is looked for anew, so often. */
const MAXIMUM_ROUNDS = 3;

/** Creates, edits or leaves the comment, and removes twins that runs at the same time made. */
export async function upsertStickyComment(
  forge: Forge,
  comment: StickyComment,
): Promise<StickyCommentResult> {
  if (comment.head !== undefined && (await headOf(forge, comment)) !== comment.head)
    return { outcome: "superseded" };
  const text = `${markerOf(comment.key)}\n${comment.body}`;
  for (let round = 1; ; round += 1) {
    try {
      return await placeComment(forge, comment, text);
    } catch (error) {
      if (!hasCode(error, "FORGE_NOT_FOUND") || round === MAXIMUM_ROUNDS) throw error;
    }
  }
}

async function placeComment(
  forge: Forge,
  comment: StickyComment,
  text: string,
): Promise<StickyCommentResult> {
  const target = repositoryParameters(comment.repository);
  const login = await forge.login();
  const { item, isNew } = await createOnce<Comment>(forge, {
    find: async () => (await findOurs(forge, comment, login))[0],
    create: async () =>
      (await forge.rest.issues.createComment({ ...target, issue_number: comment.pullNumber, body: text }))
        .data,
  });
  // Listed after creation: of two runs the later one sees both comments, and both keep the older. The author is taken from
  // the comment itself: where GitHub told a wrong login, the comment of an earlier run is found at last.
  const [kept = item, ...twins] = await findOurs(forge, comment, item.user?.login ?? login);
  for (const { id } of twins) await deleteComment(forge, comment, id);
  if (isSame(kept.body ?? "", text)) return { outcome: isNew ? "created" : "unchanged", url: kept.html_url };
  await forge.rest.issues.updateComment({ ...target, comment_id: kept.id, body: text });
  return { outcome: "updated", url: kept.html_url };
}

/** Oldest first. */
async function findOurs(
  forge: Forge,
  { repository, pullNumber, key }: StickyComment,
  login: string,
): Promise<Comment[]> {
  const marker = markerOf(key);
  const pages = forge.paginate.iterator(forge.rest.issues.listComments, {
    ...repositoryParameters(repository),
    issue_number: pullNumber,
    per_page: 100,
  });
  const comments: readonly Comment[] = await collectPages(pages, "comments");
  return comments
    .filter(({ user, body = "" }) => user?.login === login && body.startsWith(marker))
    .sort((a, b) => a.id - b.id);
}

async function deleteComment(forge: Forge, { repository }: StickyComment, id: number): Promise<void> {
  try {
    await forge.rest.issues.deleteComment({ ...repositoryParameters(repository), comment_id: id });
  } catch (error) {
    if (!hasCode(error, "FORGE_NOT_FOUND")) throw error;
  }
}

async function headOf(forge: Forge, { repository, pullNumber }: StickyComment): Promise<string> {
  const parameters = { ...repositoryParameters(repository), pull_number: pullNumber };
  return (await forge.rest.pulls.get(parameters)).data.head.sha;
}

function markerOf(key: string): string {
  return `<!-- collective:sticky ${createHash("sha256").update(key).digest("hex").slice(0, 32)} -->`;
}

/** GitHub may give line ends and the last white space back otherwise. */
function isSame(a: string, b: string): boolean {
  const normalize = (text: string) => text.replaceAll("\r\n", "\n").trimEnd();
  return normalize(a) === normalize(b);
}
