/** Check runs, commit statuses, deployments and releases of the test server. */
import {
  findById,
  invalid,
  notFound,
  page,
  Refusal,
  repositoryOf,
  type Call,
  type Handler,
} from "./github-server-call.ts";
import { git, gitOrUndefined, resolveCommit } from "./github-server-git.ts";
import type {
  StoredCheckRun,
  StoredDeployment,
  StoredRecord,
  StoredRepository,
} from "./github-server-state.ts";
import { recordView } from "./github-server-views.ts";

interface CheckRunBody {
  readonly head_sha?: string;
  readonly output?: { readonly annotations?: Record<string, unknown>[] } & Record<string, unknown>;
  readonly conclusion?: string;
}

export const checkHandlers: Readonly<Record<string, Handler>> = {
  "checks/create": async (call) => {
    const repository = repositoryOf(call);
    if (call.user.type !== "Bot") throw new Refusal(403, "You must authenticate via a GitHub App.");
    await requireCommit(repository, (call.body as CheckRunBody).head_sha ?? "");
    const run: StoredCheckRun = { ...newRecord(call, {}), annotations: [] };
    applyCheckRun(call, run);
    repository.checkRuns.push(run);
    return { status: 201, body: checkRunView(call, run) };
  },
  "checks/update": (call) => {
    const run = findById(call, repositoryOf(call).checkRuns, "check_run_id");
    if (run.author.id !== call.user.id) throw new Refusal(403, "Invalid app_id");
    applyCheckRun(call, run);
    return { status: 200, body: checkRunView(call, run) };
  },
  "checks/get": (call) => {
    return {
      status: 200,
      body: checkRunView(call, findById(call, repositoryOf(call).checkRuns, "check_run_id")),
    };
  },
  "checks/list-annotations": (call) => {
    const { items, headers } = page(
      call,
      findById(call, repositoryOf(call).checkRuns, "check_run_id").annotations,
    );
    return { status: 200, body: items, headers };
  },
  "checks/list-for-ref": async (call) => {
    const repository = repositoryOf(call);
    const sha = await requireCommit(repository, call.params["ref"] ?? "");
    const { check_name: name, filter = "latest" } = call.query;
    const all = repository.checkRuns
      .filter(({ fields }) => fields["head_sha"] === sha && (name === undefined || fields["name"] === name))
      .reverse();
    const seen = new Set<string>();
    const found = all.filter(({ fields, author }) => {
      const key = `${author.id}/${String(fields["name"])}`;
      return filter === "all" || (!seen.has(key) && seen.add(key));
    });
    const { items, headers } = page(call, found);
    const runs = items.map((run) => checkRunView(call, run));
    return { status: 200, body: { total_count: found.length, check_runs: runs }, headers };
  },
  "repos/create-commit-status": async (call) => {
    const repository = repositoryOf(call);
    const sha = await requireCommit(repository, call.params["sha"] ?? "");
    const fields = { context: "default", description: null, target_url: null, ...(call.body as object) };
    if (((fields.description as string | null) ?? "").length > 140) {
      const message = "description is too long (maximum is 140 characters)";
      throw invalid({ resource: "Status", field: "description", code: "custom", message });
    }
    const status = { ...newRecord(call, fields), sha };
    repository.statuses.unshift(status);
    return { status: 201, body: recordView(status) };
  },
  "repos/list-commit-statuses-for-ref": async (call) => {
    const repository = repositoryOf(call);
    const sha = await requireCommit(repository, call.params["ref"] ?? "");
    const { items, headers } = page(
      call,
      repository.statuses.filter((status) => status.sha === sha),
    );
    return { status: 200, body: items.map(recordView), headers };
  },
  "repos/get-combined-status-for-ref": async (call) => {
    const repository = repositoryOf(call);
    const sha = await requireCommit(repository, call.params["ref"] ?? "");
    const newest = new Map<unknown, StoredRecord>();
    for (const status of [...repository.statuses].reverse()) {
      if (status.sha === sha) newest.set(status.fields["context"], status);
    }
    const statuses = [...newest.values()].map(recordView);
    const states = statuses.map(({ state }) => state);
    const bad = states.includes("failure") || states.includes("error");
    const state = bad
      ? "failure"
      : statuses.length === 0 || states.includes("pending")
        ? "pending"
        : "success";
    return { status: 200, body: { sha, state, statuses, total_count: statuses.length } };
  },
  "repos/list-deployments": (call) => {
    const { sha, ref, environment, task } = call.query;
    const wanted = { sha, ref, environment, task };
    const found = repositoryOf(call).deployments.filter(({ fields }) =>
      Object.entries(wanted).every(([name, value]) => value === undefined || fields[name] === value),
    );
    const { items, headers } = page(call, found);
    return { status: 200, body: items.map(recordView), headers };
  },
  "repos/get-deployment": (call) => {
    return { status: 200, body: recordView(findById(call, repositoryOf(call).deployments, "deployment_id")) };
  },
  "repos/create-deployment": async (call) => {
    const repository = repositoryOf(call);
    const body = call.body as { ref: string; required_contexts?: string[] };
    const sha = await resolveCommit(repository.gitDirectory, body.ref);
    if (sha === undefined) throw new Refusal(422, `No ref found for: ${body.ref}`);
    const missing = (body.required_contexts ?? []).filter(
      (context) =>
        !repository.statuses.some(
          ({ fields }) => fields["context"] === context && fields["state"] === "success",
        ),
    );
    if (missing.length > 0) throw new Refusal(409, "Conflict: Commit status checks failed for the ref.");
    const fields = {
      task: "deploy",
      environment: "production",
      description: null,
      payload: {},
      ...body,
      sha,
    };
    const deployment: StoredDeployment = { ...newRecord(call, fields), statuses: [] };
    repository.deployments.unshift(deployment);
    return { status: 201, body: recordView(deployment) };
  },
  "repos/delete-deployment": (call) => {
    const { deployments } = repositoryOf(call);
    const deployment = findById(call, deployments, "deployment_id");
    const state = deployment.statuses[0]?.fields["state"];
    if (deployments.length > 1 && state !== "inactive") {
      throw new Refusal(
        422,
        "We cannot delete an active deployment unless it is the only deployment in a given environment.",
      );
    }
    deployments.splice(deployments.indexOf(deployment), 1);
    return { status: 204 };
  },
  "repos/list-deployment-statuses": (call) => {
    const { items, headers } = page(
      call,
      findById(call, repositoryOf(call).deployments, "deployment_id").statuses,
    );
    return { status: 200, body: items.map(recordView), headers };
  },
  "repos/create-deployment-status": (call) => {
    const repository = repositoryOf(call);
    const deployment = findById(call, repository.deployments, "deployment_id");
    const fields = {
      description: "",
      ...(call.body as { state: string; description?: string }),
    };
    if (fields.description.length > 140) {
      throw invalid({
        resource: "DeploymentStatus",
        field: "description",
        code: "custom",
        message: "description is too long",
      });
    }
    deployment.statuses.unshift(newRecord(call, fields));
    if (fields.state === "success") retireOthers(call, repository, deployment);
    return { status: 201, body: recordView(deployment.statuses[0] as StoredRecord) };
  },
  "repos/list-releases": (call) => {
    const { items, headers } = page(call, repositoryOf(call).releases);
    return { status: 200, body: items.map(recordView), headers };
  },
  "repos/get-release-by-tag": (call) => {
    const found = repositoryOf(call).releases.find(
      ({ fields }) => fields["tag_name"] === call.params["tag"] && fields["draft"] !== true,
    );
    if (found === undefined) throw notFound();
    return { status: 200, body: recordView(found) };
  },
  "repos/get-latest-release": (call) => {
    const found = repositoryOf(call).releases.find(({ fields }) => fields["latest"] === true);
    if (found === undefined) throw notFound();
    return { status: 200, body: recordView(found) };
  },
  "repos/create-release": async (call) => {
    const repository = repositoryOf(call);
    const body = call.body as {
      tag_name: string;
      target_commitish?: string;
      make_latest?: string;
      prerelease?: boolean;
    };
    await tagIfMissing(repository, body.tag_name, body.target_commitish ?? repository.defaultBranch);
    if (repository.releases.some(({ fields }) => fields["tag_name"] === body.tag_name)) {
      throw invalid({ resource: "Release", field: "tag_name", code: "already_exists" });
    }
    const defaults = {
      name: null,
      body: null,
      draft: false,
      prerelease: false,
      target_commitish: repository.defaultBranch,
    };
    const latest = body.make_latest !== "false" && body.prerelease !== true;
    if (latest) for (const { fields } of repository.releases) fields["latest"] = false;
    const release = newRecord(call, { ...defaults, ...body, latest });
    repository.releases.unshift(release);
    return { status: 201, body: recordView(release) };
  },
  "repos/update-release": (call) => {
    const release = findById(call, repositoryOf(call).releases, "release_id");
    const { make_latest: makeLatest, ...body } = call.body as Record<string, unknown>;
    if (makeLatest === "true") for (const { fields } of repositoryOf(call).releases) fields["latest"] = false;
    release.fields = { ...release.fields, ...body };
    if (makeLatest !== undefined) release.fields["latest"] = makeLatest === "true";
    if (release.fields["prerelease"] === true) release.fields["latest"] = false;
    release.updatedAt = call.state.now();
    return { status: 200, body: recordView(release) };
  },
};

function newRecord(call: Call, fields: Record<string, unknown>): StoredRecord {
  const createdAt = call.state.now();
  return { id: call.state.nextId(), author: call.user, createdAt, updatedAt: createdAt, fields };
}

/** Annotations of an update are added to those there are, everything else replaces. */
function applyCheckRun(call: Call, run: StoredCheckRun): void {
  const body = call.body as CheckRunBody;
  const { annotations = [], ...output } = body.output ?? {};
  run.annotations.push(
    ...annotations.map((entry) => ({
      raw_details: null,
      title: null,
      start_column: null,
      end_column: null,
      ...entry,
    })),
  );
  const status = body.conclusion === undefined ? {} : { status: "completed" };
  const before = run.fields["output"] as object | undefined;
  run.fields = { status: "queued", ...run.fields, ...body, ...status, output: { ...before, ...output } };
  run.updatedAt = call.state.now();
}

function checkRunView(call: Call, run: StoredCheckRun): Record<string, unknown> {
  const url = `${call.origin}/repos/${call.params["owner"] ?? ""}/${call.params["repo"] ?? ""}/check-runs/${run.id}`;
  return {
    ...run.fields,
    id: run.id,
    output: {
      title: null,
      summary: null,
      text: null,
      ...(run.fields["output"] as object),
      annotations_count: run.annotations.length,
      annotations_url: `${url}/annotations`,
    },
    html_url: `http://github.test/runs/${run.id}`,
    app: appView(run),
  };
}

/** The app whose token made the run: `github-actions` of a job's own. */
function appView({ author }: StoredCheckRun): Record<string, unknown> | null {
  if (author.type !== "Bot") return null;
  const slug = author.login.replace(/\[bot\]$/, "");
  return { id: author.id, slug, name: slug };
}

async function requireCommit(repository: StoredRepository, name: string): Promise<string> {
  const sha = await resolveCommit(repository.gitDirectory, name);
  if (sha === undefined) throw new Refusal(422, `No commit found for SHA: ${name}`);
  return sha;
}

/** A success makes earlier deployments of the environment inactive. */
function retireOthers(call: Call, repository: StoredRepository, current: StoredDeployment): void {
  for (const deployment of repository.deployments) {
    if (deployment.id >= current.id || deployment.fields["environment"] !== current.fields["environment"])
      continue;
    if (deployment.statuses[0]?.fields["state"] === "success") {
      deployment.statuses.unshift(newRecord(call, { state: "inactive", description: "" }));
    }
  }
}

/** GitHub makes the tag of a release that names none: a reason to look before. */
async function tagIfMissing(repository: StoredRepository, tag: string, target: string): Promise<void> {
  const directory = repository.gitDirectory;
  if ((await gitOrUndefined(directory, ["rev-parse", "-q", "--verify", `refs/tags/${tag}`])) !== undefined)
    return;
  const sha = await resolveCommit(directory, target);
  if (sha === undefined) throw invalid({ resource: "Release", field: "target_commitish", code: "invalid" });
  await git(directory, ["update-ref", `refs/tags/${tag}`, sha]);
}
