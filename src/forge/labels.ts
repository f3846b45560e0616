/** Labels of a pull request: ours are kept as wanted, those of others are left alone. */
import { createOnce } from "./create-once.ts";
import { hasCode } from "./forge-error.ts";
import { repositoryParameters, type Forge, type RepositoryName } from "./forge.ts";

export interface Label {
  readonly name: string;
  /** Six hex digits; used when the label is made, never to repaint one. */
  readonly color: string;
  readonly description: string;
}

export interface WantedLabels {
  readonly repository: RepositoryName;
  readonly pullNumber: number;
  readonly wanted: readonly Label[];
  /** Labels that begin like this are ours: one that is not wanted is taken off. */
  readonly ownPrefix: string;
}

/** Resolves to true when something changed. */
export async function setLabels(forge: Forge, labels: WantedLabels): Promise<boolean> {
  const target = { ...repositoryParameters(labels.repository), issue_number: labels.pullNumber };
  const { data } = await forge.rest.issues.listLabelsOnIssue({ ...target, per_page: 100 });
  const present = data.map(({ name }) => name);
  const wanted = labels.wanted.map(({ name }) => name);
  const missing = labels.wanted.filter(({ name }) => !present.includes(name));
  const surplus = present.filter((name) => name.startsWith(labels.ownPrefix) && !wanted.includes(name));
  for (const label of missing) await ensureLabel(forge, labels.repository, label);
  if (missing.length > 0)
    await forge.rest.issues.addLabels({ ...target, labels: missing.map(({ name }) => name) });
  for (const name of surplus) await removeLabel(forge, target, name);
  return missing.length + surplus.length > 0;
}

async function ensureLabel(forge: Forge, repository: RepositoryName, label: Label): Promise<void> {
  const target = repositoryParameters(repository);
  await createOnce(forge, {
    find: async () => {
      try {
        return (await forge.rest.issues.getLabel({ ...target, name: label.name })).data;
      } catch (error) {
        if (hasCode(error, "FORGE_NOT_FOUND")) return undefined;
        throw error;
      }
    },
    create: async () => (await forge.rest.issues.createLabel({ ...target, ...label })).data,
  });
}

async function removeLabel(
  forge: Forge,
  target: { readonly owner: string; readonly repo: string; readonly issue_number: number },
  name: string,
): Promise<void> {
  try {
    await forge.rest.issues.removeLabel({ ...target, name });
  } catch (error) {
    if (!hasCode(error, "FORGE_NOT_FOUND")) throw error;
  }
}
