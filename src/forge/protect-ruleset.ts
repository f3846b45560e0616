/** One ruleset of a repository, found by its name. */
import type { ProtectionPart, ProtectionStep, ProtectionWishes } from "./protection.ts";
import { mergeRules, rulesSatisfy, type Rule, type Ruleset } from "./protection-rules.ts";
import { createOnce } from "./create-once.ts";
import { repositoryParameters, type Forge, type RepositoryName } from "./forge.ts";
import { collectPages } from "./pages.ts";

interface PresentRuleset {
  readonly id: number;
  readonly target: string | undefined;
  readonly enforcement: string;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly rules: readonly Rule[];
  /** Undefined when the token may not see who is exempt. */
  readonly bypassActors: number | undefined;
}

/** Creates it, makes it as strict as wished, or leaves it. */
export async function protectRuleset(
  forge: Forge,
  { repository, dryRun }: Pick<ProtectionWishes, "repository" | "dryRun">,
  { part, ruleset }: { readonly part: ProtectionPart; readonly ruleset: Ruleset },
): Promise<readonly ProtectionStep[]> {
  const text = describe(ruleset);
  const present = await findRuleset(forge, repository, ruleset.name);
  if (present === undefined) {
    if (!dryRun) await createRuleset(forge, repository, ruleset);
    return [{ part, outcome: dryRun ? "would create" : "created", text }];
  }
  if (isInForce(present, ruleset))
    return [{ part, outcome: "unchanged", text }, ...exemptions(part, present, ruleset)];
  if (!dryRun) await updateRuleset(forge, repository, { present, wanted: ruleset });
  return [
    { part, outcome: dryRun ? "would update" : "updated", text },
    ...exemptions(part, present, ruleset),
  ];
}

function isInForce(present: PresentRuleset, wanted: Ruleset): boolean {
  return (
    present.enforcement === "active" &&
    present.target === wanted.target &&
    wanted.include.every((pattern) => present.include.includes(pattern)) &&
    present.exclude.length === 0 &&
    rulesSatisfy(present.rules, wanted.rules) &&
    (wanted.target !== "tag" || (present.bypassActors ?? 0) === 0)
  );
}

async function findRuleset(
  forge: Forge,
  repository: RepositoryName,
  name: string,
): Promise<PresentRuleset | undefined> {
  const target = repositoryParameters(repository);
  const listed = await collectPages(
    forge.paginate.iterator(forge.rest.repos.getRepoRulesets, {
      ...target,
      includes_parents: false,
      per_page: 100,
    }),
    "rulesets",
  );
  const found = listed.find((entry) => entry.name === name);
  if (found === undefined) return undefined;
  const { data } = await forge.rest.repos.getRepoRuleset({
    ...target,
    ruleset_id: found.id,
    includes_parents: false,
  });
  const refName =
    data.conditions != null && "ref_name" in data.conditions ? data.conditions.ref_name : undefined;
  return {
    id: data.id,
    target: data.target,
    enforcement: data.enforcement,
    include: refName?.include ?? [],
    exclude: refName?.exclude ?? [],
    rules: data.rules ?? [],
    bypassActors: data.bypass_actors?.length,
  };
}

type RulesParameter = NonNullable<
  NonNullable<Parameters<Forge["rest"]["repos"]["createRepoRuleset"]>[0]>["rules"]
>;

async function createRuleset(forge: Forge, repository: RepositoryName, ruleset: Ruleset): Promise<void> {
  const { name, target, include, rules } = ruleset;
  await createOnce(forge, {
    find: () => findRuleset(forge, repository, name),
    create: async () => {
      await forge.rest.repos.createRepoRuleset({
        ...repositoryParameters(repository),
        name,
        target,
        enforcement: "active",
        bypass_actors: [],
        conditions: { ref_name: { include: [...include], exclude: [] } },
        rules: rules as RulesParameter,
      });
      return { id: 0, target, enforcement: "active", include, exclude: [], rules, bypassActors: 0 };
    },
  });
}

async function updateRuleset(
  forge: Forge,
  repository: RepositoryName,
  { present, wanted }: { readonly present: PresentRuleset; readonly wanted: Ruleset },
): Promise<void> {
  await forge.rest.repos.updateRepoRuleset({
    ...repositoryParameters(repository),
    ruleset_id: present.id,
    target: wanted.target,
    enforcement: "active",
    conditions: { ref_name: { include: [...new Set([...present.include, ...wanted.include])], exclude: [] } },
    rules: mergeRules(present.rules, wanted.rules) as RulesParameter,
    // Nobody is exempt from the immutability of versions; who may pass the branch rule is the owners' decision.
    ...(wanted.target === "tag" ? { bypass_actors: [] } : {}),
  });
}

function exemptions(part: ProtectionPart, present: PresentRuleset, wanted: Ruleset): ProtectionStep[] {
  if (wanted.target === "tag" || (present.bypassActors ?? 0) === 0) return [];
  const text = `${present.bypassActors ?? 0} of the people, teams or apps are exempt from the branch rule`;
  return [{ part, outcome: "note", text, hint: "Settings, Rules shows and changes who" }];
}

function describe({ target, include, rules }: Ruleset): string {
  const where = include.join(", ").replace("~DEFAULT_BRANCH", "the default branch");
  if (target === "tag") return `${where}: no deletion, no move, no replacement, by nobody`;
  const checks = rules.find(({ type }) => type === "required_status_checks")?.parameters?.[
    "required_status_checks"
  ];
  const contexts = Array.isArray(checks)
    ? (checks as { context: string }[]).map(({ context }) => context)
    : [];
  const approvals = rules.find(({ type }) => type === "pull_request")?.parameters?.[
    "required_approving_review_count"
  ];
  const count = typeof approvals === "number" ? approvals : 0;
  const review = count === 0 ? "" : ` with ${count} approving review${count === 1 ? "" : "s"}`;
  const check = contexts.length === 0 ? "" : ` and the check ${contexts.join(", ")}`;
  return `${where}: changed by pull requests only${review}${check}; no deletion, no forced push`;
}
