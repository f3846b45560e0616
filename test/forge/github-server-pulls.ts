/** Pull requests, issue comments and labels of the test server. */
import {
  findById,
  invalid,
  notFound,
  numberParam,
  page,
  Refusal,
  repositoryOf,
  userView,
  type Call,
  type Handler,
} from "./github-server-call.ts";
import { branchTip, git, gitOrUndefined, writeCommit } from "./github-server-git.ts";
import type { ServerUser, StoredComment, StoredPull, StoredRepository } from "./github-server-state.ts";
import { repositoryView } from "./github-server-views.ts";

/** GitHub refuses longer bodies of comments and pull requests. */
const MAXIMUM_BODY = 65_536;

const REVIEW_STATES: Readonly<Record<string, string>> = {
  APPROVE: "APPROVED",
  REQUEST_CHANGES: "CHANGES_REQUESTED",
};

export const pullHandlers: Readonly<Record<string, Handler>> = {
  "pulls/list": async (call) => {
    const repository = repositoryOf(call);
    const { state = "open", head, base } = call.query;
    const found = repository.pulls.filter(
      (pull) =>
        (state === "all" || pull.state === state) &&
        (head === undefined || head === `${pull.headRepository.owner}:${pull.headBranch}`) &&
        (base === undefined || base === pull.baseBranch),
    );
    found.sort((a, b) => (call.query["direction"] === "asc" ? a.number - b.number : b.number - a.number));
    const { items, headers } = page(call, found);
    return { status: 200, body: await Promise.all(items.map((pull) => pullView(repository, pull))), headers };
  },
  "pulls/create": async (call) => {
    const repository = repositoryOf(call);
    const body = call.body as { title?: string; head: string; base: string; body?: string };
    if (body.title === undefined)
      throw invalid({ resource: "PullRequest", field: "title", code: "missing_field" });
    refuseLongBody(body.body);
    const [owner, branch] = body.head.includes(":") ? body.head.split(":") : [repository.owner, body.head];
    const headRepository = repositoryOfOwner(call, repository, owner ?? "");
    const headSha = await branchTip(headRepository.gitDirectory, branch ?? "");
    if (headSha === undefined) throw invalid({ resource: "PullRequest", field: "head", code: "invalid" });
    const baseSha = await branchTip(repository.gitDirectory, body.base);
    if (baseSha === undefined) throw invalid({ resource: "PullRequest", field: "base", code: "invalid" });
    if (headRepository === repository && (await isAncestor(repository, headSha, baseSha))) {
      const message = `No commits between ${body.base} and ${branch ?? ""}`;
      throw invalid({ resource: "PullRequest", code: "custom", message });
    }
    // No await from here on: of two requests at the same time one is refused.
    const twin = repository.pulls.find(
      (pull) =>
        pull.state === "open" &&
        pull.headRepository === headRepository &&
        pull.headBranch === branch &&
        pull.baseBranch === body.base,
    );
    if (twin !== undefined) {
      throw invalid({
        resource: "PullRequest",
        code: "custom",
        message: `A pull request already exists for ${headRepository.owner}:${branch ?? ""}.`,
      });
    }
    const pull: StoredPull = {
      id: call.state.nextId(),
      number: ++repository.lastNumber,
      author: call.user,
      title: body.title,
      body: body.body ?? null,
      state: "open",
      merged: false,
      mergeCommit: null,
      headRepository,
      headBranch: branch ?? "",
      headSha,
      baseBranch: body.base,
      labels: [],
      comments: [],
      reviews: [],
      createdAt: call.state.now(),
      updatedAt: call.state.now(),
    };
    repository.pulls.push(pull);
    return { status: 201, body: await pullView(repository, pull) };
  },
  "pulls/get": async (call) => ({ status: 200, body: await pullView(repositoryOf(call), pullOf(call)) }),
  "pulls/update": async (call) => {
    const pull = pullOf(call);
    const body = call.body as { title?: string; body?: string; state?: "open" | "closed"; base?: string };
    refuseLongBody(body.body);
    if (body.state === "open" && pull.merged)
      throw invalid({ resource: "PullRequest", field: "state", code: "invalid" });
    pull.title = body.title ?? pull.title;
    pull.body = body.body ?? pull.body;
    pull.state = body.state ?? pull.state;
    pull.baseBranch = body.base ?? pull.baseBranch;
    pull.updatedAt = call.state.now();
    return { status: 200, body: await pullView(repositoryOf(call), pull) };
  },
  "pulls/merge": async (call) => {
    const repository = repositoryOf(call);
    const pull = pullOf(call);
    const body = (call.body ?? {}) as { sha?: string; commit_title?: string; merge_method?: string };
    const head = await headOf(pull);
    if (pull.state !== "open") throw new Refusal(405, "Pull Request is not mergeable");
    if (body.sha !== undefined && body.sha !== head) {
      throw new Refusal(409, "Head branch was modified. Review and try the merge again.");
    }
    const base = (await branchTip(repository.gitDirectory, pull.baseBranch)) ?? "";
    const tree = await gitOrUndefined(repository.gitDirectory, ["merge-tree", "--write-tree", base, head]);
    if (tree === undefined) throw new Refusal(405, "Pull Request is not mergeable");
    const message = body.commit_title ?? `Merge pull request #${pull.number}`;
    const parents = body.merge_method === "squash" ? [base] : [base, head];
    const commit = await writeCommit(repository.gitDirectory, { tree, parents, message });
    await git(repository.gitDirectory, ["update-ref", `refs/heads/${pull.baseBranch}`, commit, base]);
    Object.assign(pull, { state: "closed", merged: true, mergeCommit: commit, updatedAt: call.state.now() });
    return { status: 200, body: { sha: commit, merged: true, message: "Pull Request successfully merged" } };
  },
  "pulls/list-files": async (call) => {
    const repository = repositoryOf(call);
    const pull = pullOf(call);
    const base = (await branchTip(repository.gitDirectory, pull.baseBranch)) ?? "";
    const names = await git(repository.gitDirectory, [
      "diff",
      "--name-only",
      `${base}...${await headOf(pull)}`,
    ]);
    const { items, headers } = page(call, names === "" ? [] : names.split("\n"));
    return { status: 200, body: items.map((filename) => ({ filename, status: "modified" })), headers };
  },
  "pulls/list-reviews": (call) => {
    const { items, headers } = page(call, pullOf(call).reviews);
    const body = items.map(({ id, author, state, sha }) => ({
      id,
      user: userView(author),
      state,
      commit_id: sha,
      author_association: associationOf(author),
    }));
    return { status: 200, body, headers };
  },
  "pulls/create-review": async (call) => {
    const pull = pullOf(call);
    const body = call.body as { event?: string; commit_id?: string };
    if (pull.author.id === call.user.id && body.event === "APPROVE")
      throw new Refusal(422, "Can not approve your own pull request");
    const state = REVIEW_STATES[body.event ?? ""] ?? "COMMENTED";
    const review = {
      id: call.state.nextId(),
      author: call.user,
      state,
      sha: body.commit_id ?? (await headOf(pull)),
    };
    pull.reviews.push(review);
    return { status: 200, body: { id: review.id, user: userView(call.user), state, commit_id: review.sha } };
  },
  "issues/update": async (call) => {
    const pull = pullOf(call);
    const body = call.body as { title?: string; body?: string; state?: "open" | "closed"; labels?: string[] };
    refuseLongBody(body.body);
    Object.assign(pull, body);
    return { status: 200, body: issueView(pull, await headOf(pull)) };
  },
  "issues/list-comments": (call) => {
    const { items, headers } = page(call, pullOf(call).comments);
    return { status: 200, body: items.map(commentView), headers };
  },
  "issues/create-comment": (call) => {
    const { body } = call.body as { body: string };
    refuseLongBody(body);
    const createdAt = call.state.now();
    const comment = { id: call.state.nextId(), author: call.user, body, createdAt, updatedAt: createdAt };
    pullOf(call).comments.push(comment);
    return { status: 201, body: commentView(comment) };
  },
  "issues/get-comment": (call) => ({ status: 200, body: commentView(commentOf(call)) }),
  "issues/update-comment": (call) => {
    const comment = commentOf(call);
    const { body } = call.body as { body: string };
    refuseLongBody(body);
    comment.body = body;
    comment.updatedAt = call.state.now();
    return { status: 200, body: commentView(comment) };
  },
  "issues/delete-comment": (call) => {
    const comment = commentOf(call);
    for (const { comments } of repositoryOf(call).pulls) {
      const index = comments.indexOf(comment);
      if (index >= 0) comments.splice(index, 1);
    }
    return { status: 204 };
  },
  "issues/list-labels-for-repo": (call) => {
    const { items, headers } = page(call, [...repositoryOf(call).labels.values()]);
    return { status: 200, body: items, headers };
  },
  "issues/get-label": (call) => {
    const label = repositoryOf(call).labels.get((call.params["name"] ?? "").toLowerCase());
    if (label === undefined) throw notFound();
    return { status: 200, body: label };
  },
  "issues/create-label": (call) => {
    const { labels } = repositoryOf(call);
    const body = call.body as { name: string; color?: string; description?: string };
    if (labels.has(body.name.toLowerCase()))
      throw invalid({ resource: "Label", field: "name", code: "already_exists" });
    if (body.color !== undefined && !/^[0-9a-f]{6}$/i.test(body.color)) {
      throw invalid({ resource: "Label", field: "color", code: "invalid" });
    }
    const label = {
      id: call.state.nextId(),
      color: "ededed",
      ...body,
      description: body.description ?? null,
    };
    labels.set(body.name.toLowerCase(), label);
    return { status: 201, body: label };
  },
  "issues/list-labels-on-issue": (call) => ({
    status: 200,
    body: labelsView(repositoryOf(call), pullOf(call)),
  }),
  "issues/add-labels": (call) => {
    const pull = pullOf(call);
    const body = call.body as { labels?: string[] };
    for (const name of body.labels ?? []) addLabel(call, pull, name);
    return { status: 200, body: labelsView(repositoryOf(call), pull) };
  },
  "issues/set-labels": (call) => {
    const pull = pullOf(call);
    pull.labels = [];
    for (const name of (call.body as { labels?: string[] }).labels ?? []) addLabel(call, pull, name);
    return { status: 200, body: labelsView(repositoryOf(call), pull) };
  },
  "issues/remove-label": (call) => {
    const pull = pullOf(call);
    const name = call.params["name"] ?? "";
    if (!pull.labels.includes(name)) throw new Refusal(404, "Label does not exist");
    pull.labels = pull.labels.filter((label) => label !== name);
    return { status: 200, body: labelsView(repositoryOf(call), pull) };
  },
};

export async function headOf(pull: StoredPull): Promise<string> {
  if (pull.state === "open")
    pull.headSha = (await branchTip(pull.headRepository.gitDirectory, pull.headBranch)) ?? pull.headSha;
  return pull.headSha;
}

export async function pullView(
  repository: StoredRepository,
  pull: StoredPull,
): Promise<Record<string, unknown>> {
  const head = await headOf(pull);
  const side = (of: StoredRepository, ref: string, sha: string) => ({
    ref,
    sha,
    label: `${of.owner}:${ref}`,
    repo: repositoryView(of),
    user: { login: of.owner },
  });
  return {
    id: pull.id,
    number: pull.number,
    state: pull.state,
    title: pull.title,
    body: pull.body,
    user: userView(pull.author),
    labels: labelsView(repository, pull),
    html_url: `http://github.test/${repository.owner}/${repository.name}/pull/${pull.number}`,
    head: side(pull.headRepository, pull.headBranch, head),
    base: side(
      repository,
      pull.baseBranch,
      (await branchTip(repository.gitDirectory, pull.baseBranch)) ?? head,
    ),
    draft: false,
    merged: pull.merged,
    merged_at: pull.merged ? pull.updatedAt : null,
    merge_commit_sha: pull.mergeCommit,
    created_at: pull.createdAt,
    updated_at: pull.updatedAt,
    author_association: associationOf(pull.author),
  };
}

/** Of somebody whose token may only read: a stranger who was merged before. */
function associationOf(user: ServerUser): string {
  return user.role === "read" ? "CONTRIBUTOR" : "MEMBER";
}

function issueView(pull: StoredPull, head: string): Record<string, unknown> {
  const { id, number, state, title, body } = pull;
  return { id, number, state, title, body, labels: pull.labels, user: userView(pull.author), node_id: head };
}

function labelsView(repository: StoredRepository, pull: StoredPull): Record<string, unknown>[] {
  return pull.labels.map((name) => ({ ...repository.labels.get(name.toLowerCase()), name, default: false }));
}

/** GitHub makes a label that an issue is given and the repository does not have. */
function addLabel(call: Call, pull: StoredPull, name: string): void {
  const { labels } = repositoryOf(call);
  if (!labels.has(name.toLowerCase())) {
    labels.set(name.toLowerCase(), { id: call.state.nextId(), name, color: "ededed", description: null });
  }
  if (!pull.labels.includes(name)) pull.labels.push(name);
}

function commentView(comment: StoredComment): Record<string, unknown> {
  return {
    id: comment.id,
    body: comment.body,
    user: userView(comment.author),
    created_at: comment.createdAt,
    updated_at: comment.updatedAt,
    html_url: `http://github.test/comment/${comment.id}`,
    author_association: "NONE",
  };
}

function pullOf(call: Call): StoredPull {
  const number = numberParam(call, call.params["pull_number"] === undefined ? "issue_number" : "pull_number");
  const found = repositoryOf(call).pulls.find((pull) => pull.number === number);
  if (found === undefined) throw notFound();
  return found;
}

function commentOf(call: Call): StoredComment {
  return findById(
    call,
    repositoryOf(call).pulls.flatMap(({ comments }) => comments),
    "comment_id",
  );
}

function repositoryOfOwner(call: Call, repository: StoredRepository, owner: string): StoredRepository {
  if (owner === repository.owner) return repository;
  const fork = [...call.state.repositories.values()].find(
    (candidate) => candidate.owner === owner && candidate.forkOf === repository,
  );
  if (fork === undefined) throw invalid({ resource: "PullRequest", field: "head", code: "invalid" });
  return fork;
}

async function isAncestor(repository: StoredRepository, ancestor: string, of: string): Promise<boolean> {
  const args = ["merge-base", "--is-ancestor", ancestor, of];
  return (await gitOrUndefined(repository.gitDirectory, args)) !== undefined;
}

function refuseLongBody(body: string | undefined): void {
  if (body === undefined || body.length <= MAXIMUM_BODY) return;
  throw invalid({
    field: "body",
    code: "too_long",
    message: "body is too long (maximum is 65536 characters)",
  });
}
