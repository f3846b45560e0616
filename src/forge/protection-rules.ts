/** What `cui protect` wants of a repository, and how wishes and what is there are compared with each other. */

/** A value of a rule's parameters: JSON. */
export type Setting =
  boolean | number | string | null | readonly Setting[] | { readonly [name: string]: Setting };

export interface Rule {
  readonly type: string;
  readonly parameters?: { readonly [name: string]: Setting };
}

export interface Ruleset {
  readonly name: string;
  readonly target: "tag" | "branch";
  readonly include: readonly string[];
  readonly rules: readonly Rule[];
}

/** No tag `v…` is deleted, moved or replaced: the versions are immutable for everybody. */
export function tagRuleset(): Ruleset {
  return {
    name: "Collective: versions",
    target: "tag",
    include: ["refs/tags/v*"],
    rules: [{ type: "deletion" }, { type: "update" }, { type: "non_fast_forward" }],
  };
}

export interface BranchWishes {
  readonly branch: string;
  readonly isDefaultBranch: boolean;
  /** `collective/plan` */
  readonly checks: readonly string[];
  readonly approvals: number;
}

/** What runs is what the branch says: it changes by reviewed pull requests only, each with its plan. */
export function branchRuleset({ branch, isDefaultBranch, checks, approvals }: BranchWishes): Ruleset {
  const pullRequest = {
    required_approving_review_count: approvals,
    dismiss_stale_reviews_on_push: true,
    require_code_owner_review: false,
    require_last_push_approval: approvals > 0,
    required_review_thread_resolution: false,
  };
  const statusChecks = {
    required_status_checks: checks.map((context) => ({ context })),
    strict_required_status_checks_policy: true,
  };
  return {
    name: isDefaultBranch ? "Collective: branch" : `Collective: branch ${branch}`,
    target: "branch",
    include: [isDefaultBranch ? "~DEFAULT_BRANCH" : `refs/heads/${branch}`],
    rules: [
      { type: "deletion" },
      { type: "non_fast_forward" },
      { type: "pull_request", parameters: pullRequest },
      ...(checks.length === 0 ? [] : [{ type: "required_status_checks", parameters: statusChecks }]),
    ],
  };
}

/** True when `present` is as strict as `wanted` or stricter: true over false, a higher number, more of a list. */
export function isAsStrict(present: Setting | undefined, wanted: Setting): boolean {
  if (typeof wanted === "boolean") return !wanted || present === true;
  if (typeof wanted === "number") return typeof present === "number" && present >= wanted;
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(present) &&
      wanted.every((item) => present.some((entry) => isAsStrict(entry as Setting, item as Setting)))
    );
  }
  if (isObject(wanted)) {
    return (
      isObject(present) && Object.entries(wanted).every(([name, value]) => isAsStrict(present[name], value))
    );
  }
  return present === wanted;
}

/** `present` made as strict as `wanted` where it is not, and nowhere laxer. */
export function strengthen(present: Setting | undefined, wanted: Setting): Setting {
  if (present === undefined || typeof present !== typeof wanted) return wanted;
  if (typeof wanted === "boolean") return wanted || present === true;
  if (typeof wanted === "number") return Math.max(wanted, present as number);
  if (Array.isArray(wanted)) {
    const kept = present as readonly Setting[];
    return [
      ...kept,
      ...(wanted as Setting[]).filter((item) => !kept.some((entry) => isAsStrict(entry, item))),
    ];
  }
  if (!isObject(wanted) || !isObject(present)) return wanted;
  const entries = Object.entries(wanted).map(
    ([name, value]) => [name, strengthen(present[name], value)] as const,
  );
  return { ...present, ...Object.fromEntries(entries) };
}

/** True when every wanted rule is there, at least as strict. */
export function rulesSatisfy(present: readonly Rule[], wanted: readonly Rule[]): boolean {
  return wanted.every((rule) =>
    present.some(
      ({ type, parameters }) => type === rule.type && isAsStrict(parameters ?? {}, rule.parameters ?? {}),
    ),
  );
}

/** The wanted rules, as strict as the present ones, and the present rules of other kinds. */
export function mergeRules(present: readonly Rule[], wanted: readonly Rule[]): Rule[] {
  const merged = wanted.map((rule): Rule => {
    const twin = present.find(({ type }) => type === rule.type);
    if (rule.parameters === undefined || twin?.parameters === undefined) return { ...twin, ...rule };
    return {
      type: rule.type,
      parameters: strengthen(twin.parameters, rule.parameters) as Rule["parameters"] & object,
    };
  });
  return [...merged, ...present.filter(({ type }) => !wanted.some((rule) => rule.type === type))];
}

function isObject(value: Setting | undefined): value is { readonly [name: string]: Setting } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
