/** Rulesets of the test server, in force for what goes through its own ref operations. */
import {
  findById,
  invalid,
  page,
  Refusal,
  repositoryOf,
  requireAdmin,
  type Call,
  type Handler,
} from "./github-server-call.ts";
import type { StoredRecord, StoredRepository } from "./github-server-state.ts";

interface Rule {
  readonly type: string;
  readonly parameters?: Record<string, unknown>;
}

interface RulesetFields {
  readonly name: string;
  readonly target?: string;
  readonly enforcement: string;
  readonly conditions?: { readonly ref_name?: { readonly include?: string[]; readonly exclude?: string[] } };
  readonly rules?: readonly Rule[];
}

export const rulesetHandlers: Readonly<Record<string, Handler>> = {
  "repos/get-repo-rulesets": (call) => {
    requirePlan(call);
    const { items, headers } = page(call, repositoryOf(call).rulesets);
    const body = items.map((ruleset) => {
      const { name, target, enforcement } = fieldsOf(ruleset);
      return { id: ruleset.id, name, target, enforcement, source: "-" };
    });
    return { status: 200, body, headers };
  },
  "repos/get-repo-ruleset": (call) => {
    requirePlan(call);
    return { status: 200, body: view(findById(call, repositoryOf(call).rulesets, "ruleset_id")) };
  },
  "repos/create-repo-ruleset": (call) => {
    requireAdmin(call);
    requirePlan(call);
    const { rulesets } = repositoryOf(call);
    const body = call.body as RulesetFields;
    if (rulesets.some((ruleset) => fieldsOf(ruleset).name === body.name)) {
      throw invalid({
        resource: "Ruleset",
        field: "name",
        code: "already_exists",
        message: "Name must be unique",
      });
    }
    const createdAt = call.state.now();
    const ruleset: StoredRecord = {
      id: call.state.nextId(),
      author: call.user,
      createdAt,
      updatedAt: createdAt,
      fields: { target: "branch", bypass_actors: [], ...(body as object) },
    };
    rulesets.push(ruleset);
    return { status: 201, body: view(ruleset) };
  },
  "repos/update-repo-ruleset": (call) => {
    requireAdmin(call);
    requirePlan(call);
    const ruleset = findById(call, repositoryOf(call).rulesets, "ruleset_id");
    ruleset.fields = { ...ruleset.fields, ...(call.body as object) };
    ruleset.updatedAt = call.state.now();
    return { status: 200, body: view(ruleset) };
  },
};

/** As a push that an active ruleset forbids. */
export function refuseByRuleset(repository: StoredRepository, ref: string, changes: readonly string[]): void {
  for (const ruleset of repository.rulesets.map(fieldsOf)) {
    const include = ruleset.conditions?.ref_name?.include ?? [];
    if (ruleset.enforcement !== "active" || !include.some((pattern) => matches(repository, pattern, ref)))
      continue;
    const broken = (ruleset.rules ?? []).find(({ type }) => changes.includes(type));
    if (broken !== undefined) throw new Refusal(422, `Repository rule violations found: ${broken.type}`);
  }
}

function matches(repository: StoredRepository, pattern: string, ref: string): boolean {
  if (pattern === "~DEFAULT_BRANCH") return ref === `refs/heads/${repository.defaultBranch}`;
  const expression = pattern.replaceAll(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", "[^/]*");
  return new RegExp(`^${expression}$`).test(ref);
}

function fieldsOf(ruleset: StoredRecord): RulesetFields {
  return ruleset.fields as unknown as RulesetFields;
}

/** GitHub answers with the parameters a rule was not given, too. */
function view(ruleset: StoredRecord): Record<string, unknown> {
  const rules = (fieldsOf(ruleset).rules ?? []).map((rule) => {
    const defaults = defaultParameters[rule.type];
    return defaults === undefined ? rule : { ...rule, parameters: { ...defaults, ...rule.parameters } };
  });
  return { ...ruleset.fields, rules, id: ruleset.id, source: "-", source_type: "Repository" };
}

const defaultParameters: Readonly<Record<string, object>> = {
  pull_request: { allowed_merge_methods: ["merge", "squash", "rebase"], required_reviewers: [] },
  required_status_checks: { do_not_enforce_on_create: false },
};

function requirePlan(call: Call): void {
  if (repositoryOf(call).planHas.rulesets) return;
  throw new Refusal(403, "Upgrade to GitHub Pro or make this repository public to enable this feature.");
}
