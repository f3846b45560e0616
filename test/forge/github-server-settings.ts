/** Repository settings, people, environments, workflow runs and dispatch of the test server. */
import {
  findById,
  invalid,
  notFound,
  numberParam,
  page,
  Refusal,
  repositoryOf,
  requireAdmin,
  userView,
  type Call,
  type Handler,
} from "./github-server-call.ts";
import type { StoredArtifact, StoredRecord } from "./github-server-state.ts";
import { repositoryView } from "./github-server-views.ts";

type Environment = StoredRecord & { readonly branchPolicies: { id: number; name: string }[] };

interface EnvironmentBody {
  readonly wait_timer?: number;
  readonly prevent_self_review?: boolean;
  readonly reviewers?: readonly { readonly type: "User" | "Team"; readonly id: number }[] | null;
  readonly deployment_branch_policy?: { protected_branches: boolean; custom_branch_policies: boolean } | null;
}

export const settingsHandlers: Readonly<Record<string, Handler>> = {
  "repos/get": (call) => ({ status: 200, body: repositoryView(repositoryOf(call)) }),
  "users/get-authenticated": (call) => {
    if (call.user.type === "Bot") throw new Refusal(403, "Resource not accessible by integration");
    return { status: 200, body: userView(call.user) };
  },
  "users/get-by-username": (call) => {
    const found = [...call.state.users.values()].find(({ login }) => login === call.params["username"]);
    if (found === undefined) throw notFound();
    return { status: 200, body: userView(found) };
  },
  "teams/get-by-name": (call) => {
    const team = call.state.teams.get(`${call.params["org"] ?? ""}/${call.params["team_slug"] ?? ""}`);
    if (team === undefined) throw notFound();
    return { status: 200, body: { id: team.id, slug: team.slug, name: team.slug } };
  },
  "repos/get-collaborator-permission-level": (call) => {
    const found = [...call.state.users.values()].find(({ login }) => login === call.params["username"]);
    if (found === undefined) throw notFound();
    return {
      status: 200,
      body: { permission: found.role, role_name: found.role, user: { login: found.login } },
    };
  },
  "repos/get-branch-protection": (call) => {
    requireAdmin(call);
    const found = repositoryOf(call).branchProtections.get(call.params["branch"] ?? "");
    if (found === undefined) throw new Refusal(404, "Branch not protected");
    return { status: 200, body: {} };
  },
  "repos/update-branch-protection": (call) => {
    requireAdmin(call);
    repositoryOf(call).branchProtections.set(
      call.params["branch"] ?? "",
      call.body as Record<string, unknown>,
    );
    return { status: 200, body: {} };
  },
  "repos/get-all-environments": (call) => {
    const environments = [...repositoryOf(call).environments.values()].map((entry) =>
      environmentView(call, entry),
    );
    return { status: 200, body: { total_count: environments.length, environments } };
  },
  "repos/get-environment": (call) => ({ status: 200, body: environmentView(call, environmentOf(call)) }),
  "repos/create-or-update-environment": (call) => {
    requireAdmin(call);
    const repository = repositoryOf(call);
    const name = call.params["environment_name"] ?? "";
    const body = (call.body ?? {}) as EnvironmentBody;
    if (!repository.planHas.environmentRules && (body.reviewers ?? []).length > 0) {
      throw new Refusal(
        422,
        "Failed to create the environment protection rule. Please ensure the billing plan supports the required reviewers protection rule.",
      );
    }
    if ((body.reviewers ?? []).length > 6) throw invalid({ field: "reviewers", code: "invalid" });
    const at = call.state.now();
    const environment: Environment = repository.environments.get(name) ?? {
      id: call.state.nextId(),
      author: call.user,
      createdAt: at,
      updatedAt: at,
      fields: {},
      branchPolicies: [],
    };
    // The call replaces all settings: what it leaves out is off afterwards.
    Object.assign(environment, { fields: { name, ...(body as object) }, updatedAt: at });
    if (body.deployment_branch_policy?.custom_branch_policies !== true) environment.branchPolicies.length = 0;
    repository.environments.set(name, environment);
    return { status: 200, body: environmentView(call, environment) };
  },
  "repos/list-deployment-branch-policies": (call) => {
    const { branchPolicies } = environmentOf(call);
    const { items, headers } = page(call, branchPolicies);
    return { status: 200, body: { total_count: branchPolicies.length, branch_policies: items }, headers };
  },
  "repos/create-deployment-branch-policy": (call) => {
    requireAdmin(call);
    const { branchPolicies, fields } = environmentOf(call);
    const { name } = call.body as { name: string };
    if ((fields as EnvironmentBody).deployment_branch_policy?.custom_branch_policies !== true)
      throw notFound();
    const twin = branchPolicies.find((policy) => policy.name === name);
    if (twin !== undefined) return { status: 303 };
    const policy = { id: call.state.nextId(), name };
    branchPolicies.push(policy);
    return { status: 200, body: policy };
  },
  "repos/delete-deployment-branch-policy": (call) => {
    requireAdmin(call);
    const { branchPolicies } = environmentOf(call);
    branchPolicies.splice(branchPolicies.indexOf(findById(call, branchPolicies, "branch_policy_id")), 1);
    return { status: 204 };
  },
  "repos/create-dispatch-event": (call) => {
    const repository = repositoryOf(call);
    if (call.user.role === "read") throw notFound();
    const body = call.body as { event_type: string; client_payload?: unknown };
    if (JSON.stringify(body.client_payload ?? {}).length > 65_535)
      throw new Refusal(422, "client_payload is too large.");
    repository.dispatches.push(body);
    return { status: 204 };
  },
  "actions/list-workflow-runs-for-repo": (call) => {
    const { runs } = repositoryOf(call);
    const found = runs.filter(({ fields }) => {
      const sha = call.query["head_sha"];
      return sha === undefined || fields["head_sha"] === sha;
    });
    const { items, headers } = page(call, found);
    return { status: 200, body: { total_count: found.length, workflow_runs: items.map(runView) }, headers };
  },
  "actions/get-workflow-run": (call) => {
    return { status: 200, body: runView(findById(call, repositoryOf(call).runs, "run_id")) };
  },
  "actions/list-workflow-run-artifacts": (call) => {
    const run = numberParam(call, "run_id");
    return artifactsReply(
      call,
      repositoryOf(call).artifacts.filter(({ runId }) => runId === run),
    );
  },
  "actions/list-artifacts-for-repo": (call) => artifactsReply(call, repositoryOf(call).artifacts),
  "actions/get-artifact": (call) => {
    return {
      status: 200,
      body: artifactView(call, findById(call, repositoryOf(call).artifacts, "artifact_id")),
    };
  },
  "actions/download-artifact": (call) => {
    const { id } = findById(call, repositoryOf(call).artifacts, "artifact_id");
    return { status: 302, headers: { location: `${call.origin}/_artifacts/${id}.zip` } };
  },
};

function artifactsReply(call: Call, artifacts: readonly StoredArtifact[]): ReturnType<Handler> {
  const name = call.query["name"];
  const found = artifacts.filter((artifact) => name === undefined || artifact.name === name);
  const { items, headers } = page(call, found);
  const views = items.map((artifact) => artifactView(call, artifact));
  return { status: 200, body: { total_count: found.length, artifacts: views }, headers };
}

function artifactView(call: Call, artifact: StoredArtifact): Record<string, unknown> {
  const { id, name, zip, runId } = artifact;
  const url = `${call.origin}/repos/${call.params["owner"] ?? ""}/${call.params["repo"] ?? ""}/actions/artifacts/${id}/zip`;
  return {
    id,
    name,
    size_in_bytes: zip.byteLength,
    archive_download_url: url,
    expired: false,
    workflow_run: { id: runId },
  };
}

function runView(run: {
  readonly id: number;
  readonly fields: Record<string, unknown>;
}): Record<string, unknown> {
  return { ...run.fields, id: run.id };
}

function environmentOf(call: Call): Environment {
  const found = repositoryOf(call).environments.get(call.params["environment_name"] ?? "");
  if (found === undefined) throw notFound();
  return found;
}

function environmentView(call: Call, environment: Environment): Record<string, unknown> {
  const fields = environment.fields as unknown as EnvironmentBody & { readonly name: string };
  const rules: Record<string, unknown>[] = [];
  if ((fields.wait_timer ?? 0) > 0) rules.push({ id: 1, type: "wait_timer", wait_timer: fields.wait_timer });
  if ((fields.reviewers ?? []).length > 0) {
    const reviewers = (fields.reviewers ?? []).map(({ type, id }) => ({
      type,
      reviewer: reviewerView(call, type, id),
    }));
    rules.push({
      id: 2,
      type: "required_reviewers",
      prevent_self_review: fields.prevent_self_review ?? false,
      reviewers,
    });
  }
  if (fields.deployment_branch_policy) rules.push({ id: 3, type: "branch_policy" });
  return {
    id: environment.id,
    name: fields.name,
    protection_rules: rules,
    deployment_branch_policy: fields.deployment_branch_policy ?? null,
    created_at: environment.createdAt,
    updated_at: environment.updatedAt,
  };
}

function reviewerView(call: Call, type: "User" | "Team", id: number): Record<string, unknown> {
  if (type === "Team") {
    const team = [...call.state.teams.values()].find((candidate) => candidate.id === id);
    return { id, slug: team?.slug, name: team?.slug };
  }
  const user = [...call.state.users.values()].find((candidate) => candidate.id === id);
  return user === undefined ? { id } : userView(user);
}
