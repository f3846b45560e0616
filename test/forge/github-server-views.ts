/** How the test server shows what many replies hold. */
import type { StoredRecord, StoredRepository } from "./github-server-state.ts";
import { userView } from "./github-server-call.ts";

export function repositoryView(repository: StoredRepository): Record<string, unknown> {
  const full = `${repository.owner}/${repository.name}`;
  return {
    id: repository.id,
    name: repository.name,
    full_name: full,
    owner: { login: repository.owner, id: repository.id, type: "Organization" },
    private: repository.private,
    default_branch: repository.defaultBranch,
    fork: repository.forkOf !== undefined,
    visibility: repository.private ? "private" : "public",
    html_url: `http://github.test/${full}`,
    clone_url: `http://github.test/${full}.git`,
  };
}

/** A kept record as GitHub gives it back. */
export function recordView(record: StoredRecord): Record<string, unknown> {
  return {
    ...record.fields,
    id: record.id,
    creator: userView(record.author),
    author: userView(record.author),
    created_at: record.createdAt,
    updated_at: record.updatedAt,
  };
}
