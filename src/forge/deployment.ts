/** Deployments: one per commit and environment, with the states it went through. */
import { createOnce } from "./create-once.ts";
import { collectPages } from "./pages.ts";
import { hasCode } from "./forge-error.ts";
import { shorten } from "./commit-status.ts";
import { repositoryParameters, type Forge, type RepositoryName } from "./forge.ts";

export interface DeploymentRecord {
  readonly repository: RepositoryName;
  readonly sha: string;
  /** `production` */
  readonly environment: string;
  readonly state: "queued" | "in_progress" | "success" | "failure" | "error" | "inactive";
  /** Cut at GitHub's 140 characters. */
  readonly description: string;
  readonly logUrl?: string;
}

export interface DeploymentResult {
  readonly id: number;
  readonly outcome: "created" | "updated" | "unchanged";
}

/** What tells our deployments from those other tools make for the same commit. */
const TASK = "deploy:collective";

interface Deployment {
  readonly id: number;
}

/** Finds or makes the deployment, and adds the state unless it is the newest already. */
export async function recordDeployment(forge: Forge, record: DeploymentRecord): Promise<DeploymentResult> {
  const { item, isNew } = await createOnce(forge, {
    find: async () => (await findDeployments(forge, record))[0],
    create: () => createDeployment(forge, record),
  });
  const id = isNew ? await removeTwins(forge, record, item) : item.id;
  const isNewState = await addState(forge, record, id);
  return { id, outcome: isNew ? "created" : isNewState ? "updated" : "unchanged" };
}

async function createDeployment(forge: Forge, record: DeploymentRecord): Promise<Deployment> {
  const { repository, sha, environment, description } = record;
  const { data } = await forge.rest.repos.createDeployment({
    ...repositoryParameters(repository),
    ref: sha,
    environment,
    task: TASK,
    description: shorten(description),
    // The commit is deployed as it is; the branch rule asked for the checks before it was merged.
    auto_merge: false,
    required_contexts: [],
  });
  if ("id" in data) return data;
  throw new Error("GitHub merges only when asked to");
}

/** Oldest first. */
async function findDeployments(
  forge: Forge,
  { repository, sha, environment }: DeploymentRecord,
): Promise<Deployment[]> {
  const pages = forge.paginate.iterator(forge.rest.repos.listDeployments, {
    ...repositoryParameters(repository),
    sha,
    environment,
    task: TASK,
    per_page: 100,
  });
  const found: readonly Deployment[] = await collectPages(pages, "deployments");
  return [...found].sort((a, b) => a.id - b.id);
}

/** Two runs at the same time may both have made one: both keep the older. */
async function removeTwins(forge: Forge, record: DeploymentRecord, made: Deployment): Promise<number> {
  const [kept, ...twins] = await findDeployments(forge, record);
  const target = repositoryParameters(record.repository);
  for (const { id } of twins) {
    try {
      await forge.rest.repos.createDeploymentStatus({ ...target, deployment_id: id, state: "inactive" });
      await forge.rest.repos.deleteDeployment({ ...target, deployment_id: id });
    } catch (error) {
      if (!hasCode(error, "FORGE_NOT_FOUND")) throw error;
    }
  }
  return (kept ?? made).id;
}

async function addState(forge: Forge, record: DeploymentRecord, id: number): Promise<boolean> {
  const target = { ...repositoryParameters(record.repository), deployment_id: id };
  const { state, logUrl } = record;
  const description = shorten(record.description);
  const { isNew } = await createOnce(forge, {
    find: async () => {
      const [newest] = (await forge.rest.repos.listDeploymentStatuses({ ...target, per_page: 1 })).data;
      return newest?.state === state && newest.description === description ? newest : undefined;
    },
    create: async () => {
      const words = { state, description, ...(logUrl === undefined ? {} : { log_url: logUrl }) };
      return (await forge.rest.repos.createDeploymentStatus({ ...target, ...words, auto_inactive: true }))
        .data;
    },
  });
  return isNew;
}
