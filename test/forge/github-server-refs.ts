/** Git objects, refs, contents and comparison of the test server, on a real bare repository. */
import {
  invalid,
  notFound,
  page,
  Refusal,
  repositoryOf,
  type Call,
  type Handler,
} from "./github-server-call.ts";
import { pullView } from "./github-server-pulls.ts";
import {
  git,
  gitOrUndefined,
  resolveCommit,
  writeBlob,
  writeCommit,
  writeTree,
  type TreeChange,
} from "./github-server-git.ts";
import { refuseByRuleset } from "./github-server-rulesets.ts";
import type { StoredRepository } from "./github-server-state.ts";

export const refHandlers: Readonly<Record<string, Handler>> = {
  "git/get-ref": async (call) => ({ status: 200, body: await refView(call, refName(call)) }),
  "git/list-matching-refs": async (call) => {
    const { gitDirectory } = repositoryOf(call);
    const prefix = refName(call);
    const names = await git(gitDirectory, ["for-each-ref", "--format=%(refname)"]);
    const found = names.split("\n").filter((name) => name !== "" && name.startsWith(prefix));
    return { status: 200, body: await Promise.all(found.map((name) => refView(call, name))) };
  },
  "git/create-ref": async (call) => {
    const { gitDirectory } = repositoryOf(call);
    const { ref, sha } = call.body as { ref: string; sha: string };
    if ((await revision(gitDirectory, ref)) !== undefined) throw new Refusal(422, "Reference already exists");
    if ((await revision(gitDirectory, sha)) === undefined) throw new Refusal(422, "Object does not exist");
    await git(gitDirectory, ["update-ref", ref, sha]);
    return { status: 201, body: await refView(call, ref) };
  },
  "git/update-ref": async (call) => {
    const repository = repositoryOf(call);
    const { gitDirectory } = repository;
    const { sha, force = false } = call.body as { sha: string; force?: boolean };
    const ref = refName(call);
    const old = await revision(gitDirectory, ref);
    if (old === undefined) throw new Refusal(422, "Reference does not exist");
    const forward =
      (await gitOrUndefined(gitDirectory, ["merge-base", "--is-ancestor", old, sha])) !== undefined;
    if (!forward && !force) throw new Refusal(422, "Update is not a fast forward");
    refuseByRuleset(repository, ref, forward ? ["update"] : ["update", "non_fast_forward"]);
    await git(gitDirectory, ["update-ref", ref, sha]);
    return { status: 200, body: await refView(call, ref) };
  },
  "git/delete-ref": async (call) => {
    const repository = repositoryOf(call);
    const ref = refName(call);
    if ((await revision(repository.gitDirectory, ref)) === undefined)
      throw new Refusal(422, "Reference does not exist");
    refuseByRuleset(repository, ref, ["deletion"]);
    await git(repository.gitDirectory, ["update-ref", "-d", ref]);
    return { status: 204 };
  },
  "git/get-commit": async (call) => {
    return { status: 200, body: await commitView(repositoryOf(call), call.params["commit_sha"] ?? "") };
  },
  "git/create-commit": async (call) => {
    const repository = repositoryOf(call);
    const {
      tree,
      parents = [],
      message,
    } = call.body as { tree: string; parents?: string[]; message: string };
    const sha = await writeCommit(repository.gitDirectory, { tree, parents, message });
    return { status: 201, body: await commitView(repository, sha) };
  },
  "git/create-tree": async (call) => {
    const { gitDirectory } = repositoryOf(call);
    const body = call.body as {
      base_tree?: string;
      tree: { path?: string; mode?: string; sha?: string | null; content?: string }[];
    };
    const changes: TreeChange[] = [];
    for (const { path = "", mode = "100644", sha, content } of body.tree) {
      changes.push({
        path,
        mode,
        sha: content === undefined ? (sha ?? null) : await writeBlob(gitDirectory, content),
      });
    }
    const tree = await writeTree(gitDirectory, body.base_tree, changes);
    return { status: 201, body: await treeView(gitDirectory, tree) };
  },
  "git/get-tree": async (call) => {
    const { gitDirectory } = repositoryOf(call);
    const tree = await revision(gitDirectory, `${call.params["tree_sha"] ?? ""}^{tree}`);
    if (tree === undefined) throw notFound();
    return { status: 200, body: await treeView(gitDirectory, tree) };
  },
  "git/create-blob": async (call) => {
    const { content, encoding = "utf-8" } = call.body as { content: string; encoding?: string };
    const bytes = Buffer.from(content, encoding === "base64" ? "base64" : "utf8");
    return { status: 201, body: { sha: await writeBlob(repositoryOf(call).gitDirectory, bytes) } };
  },
  "git/get-blob": async (call) => {
    const sha = call.params["file_sha"] ?? "";
    const content = await gitOrUndefined(repositoryOf(call).gitDirectory, ["cat-file", "blob", sha]);
    if (content === undefined) throw notFound();
    const encoded = Buffer.from(content).toString("base64");
    return { status: 200, body: { sha, content: encoded, encoding: "base64", size: content.length } };
  },
  "repos/get-content": async (call) => {
    const repository = repositoryOf(call);
    const commit = await resolveCommit(
      repository.gitDirectory,
      call.query["ref"] ?? repository.defaultBranch,
    );
    const name = call.params["path"] ?? "";
    const sha = await revision(repository.gitDirectory, `${commit ?? ""}:${name}`);
    if (commit === undefined || sha === undefined) throw notFound();
    if ((await git(repository.gitDirectory, ["cat-file", "-t", sha])) !== "blob") throw notFound();
    const content = await git(repository.gitDirectory, ["show", `${commit}:${name}`]);
    const encoded = Buffer.from(`${content}\n`).toString("base64");
    const fields = {
      type: "file",
      encoding: "base64",
      size: content.length + 1,
      name,
      path: name,
      content: encoded,
      sha,
    };
    return { status: 200, body: fields };
  },
  "repos/create-or-update-file-contents": async (call) => {
    const repository = repositoryOf(call);
    const { gitDirectory } = repository;
    const body = call.body as { message: string; content: string; sha?: string; branch?: string };
    const branch = body.branch ?? repository.defaultBranch;
    const name = call.params["path"] ?? "";
    const head = await revision(gitDirectory, `refs/heads/${branch}`);
    if (head === undefined) throw new Refusal(404, `Branch ${branch} not found`);
    const old = await revision(gitDirectory, `${head}:${name}`);
    if (old !== undefined && body.sha === undefined) {
      throw new Refusal(422, `Invalid request.\n\n"sha" wasn't supplied.`);
    }
    if (old !== body.sha) throw new Refusal(409, `${name} does not match ${body.sha ?? ""}`);
    const blob = await writeBlob(gitDirectory, Buffer.from(body.content, "base64"));
    const tree = await writeTree(gitDirectory, head, [{ path: name, mode: "100644", sha: blob }]);
    const commit = await writeCommit(gitDirectory, { tree, parents: [head], message: body.message });
    await git(gitDirectory, ["update-ref", `refs/heads/${branch}`, commit, head]);
    const reply = { content: { name, path: name, sha: blob, type: "file" }, commit: { sha: commit } };
    return { status: old === undefined ? 201 : 200, body: reply };
  },
  "repos/get-branch": async (call) => {
    const repository = repositoryOf(call);
    const name = call.params["branch"] ?? "";
    const sha = await revision(repository.gitDirectory, `refs/heads/${name}`);
    if (sha === undefined) throw new Refusal(404, "Branch not found");
    const isProtected = repository.branchProtections.has(name);
    return { status: 200, body: { name, commit: { sha }, protected: isProtected } };
  },
  "repos/get-commit": async (call) => {
    const repository = repositoryOf(call);
    const sha = await resolveCommit(repository.gitDirectory, call.params["ref"] ?? "");
    if (sha === undefined) throw new Refusal(422, `No commit found for SHA: ${call.params["ref"] ?? ""}`);
    const { message, parents } = await commitView(repository, sha);
    return { status: 200, body: { sha, commit: { message }, parents } };
  },
  "repos/list-pull-requests-associated-with-commit": async (call) => {
    const repository = repositoryOf(call);
    const sha = call.params["commit_sha"] ?? "";
    const views = await Promise.all(repository.pulls.map((pull) => pullView(repository, pull)));
    const found = views.filter(
      (view) => view["merge_commit_sha"] === sha || (view["head"] as { sha: string }).sha === sha,
    );
    const { items, headers } = page(call, found);
    return { status: 200, body: items, headers };
  },
  "repos/compare-commits-with-basehead": async (call) => {
    const { gitDirectory } = repositoryOf(call);
    const [base = "", head = ""] = (call.params["basehead"] ?? "").split("...");
    const from = await resolveCommit(gitDirectory, base);
    const to = await resolveCommit(gitDirectory, head);
    if (from === undefined || to === undefined) throw notFound();
    const counts = await git(gitDirectory, ["rev-list", "--left-right", "--count", `${from}...${to}`]);
    const [behind = 0, ahead = 0] = counts.split("\t").map(Number);
    const names = await git(gitDirectory, ["diff", "--name-only", `${from}...${to}`]);
    const files = names === "" ? [] : names.split("\n").map((filename) => ({ filename, status: "modified" }));
    const status =
      ahead === 0 ? (behind === 0 ? "identical" : "behind") : behind === 0 ? "ahead" : "diverged";
    return {
      status: 200,
      body: {
        status,
        ahead_by: ahead,
        behind_by: behind,
        total_commits: ahead,
        commits: [],
        files,
        base_commit: { sha: from },
      },
    };
  },
};

function refName(call: Call): string {
  return `refs/${call.params["ref"] ?? ""}`;
}

async function revision(directory: string, name: string): Promise<string | undefined> {
  return gitOrUndefined(directory, ["rev-parse", "-q", "--verify", "--end-of-options", name]);
}

async function refView(call: Call, ref: string): Promise<Record<string, unknown>> {
  const { gitDirectory } = repositoryOf(call);
  const sha = await revision(gitDirectory, ref);
  if (sha === undefined) throw notFound();
  return { ref, object: { sha, type: await git(gitDirectory, ["cat-file", "-t", sha]) } };
}

async function commitView(repository: StoredRepository, sha: string): Promise<Record<string, unknown>> {
  const text = await gitOrUndefined(repository.gitDirectory, ["show", "-s", "--format=%T%n%P%n%B", sha]);
  if (text === undefined) throw invalid({ field: "sha", code: "invalid" });
  const [tree = "", parents = "", ...message] = text.split("\n");
  const parentViews = parents === "" ? [] : parents.split(" ").map((parent) => ({ sha: parent }));
  return { sha, tree: { sha: tree }, parents: parentViews, message: message.join("\n").trimEnd() };
}

async function treeView(directory: string, tree: string): Promise<Record<string, unknown>> {
  const text = await git(directory, ["ls-tree", "-r", tree]);
  const entries =
    text === "" ? [] : text.split("\n").map((line) => /^(\d+) (\w+) ([0-9a-f]+)\t(.*)$/.exec(line));
  return {
    sha: tree,
    truncated: false,
    tree: entries.map((entry) => ({ mode: entry?.[1], type: entry?.[2], sha: entry?.[3], path: entry?.[4] })),
  };
}
