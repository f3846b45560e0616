/**
 * `bump.yaml` at the top of an appliance or a site: how its bumps are made. All keys but `format` may be left out.
 *
 * ```yaml
 * format: 1
 * limit: 5                # pull requests that may be open at a time
 * minimumAge: 3d          # of a version before it is proposed: h, d or w
 * patience: 7d            # how long an import of an upstream waits for the upstream to take it first
 * ignore:
 *   - { url: "https://appliances.example.org/Web", versions: 7-8, reason: "breaks our theme" }
 * groups:
 *   - { name: office, urls: ["https://appliances.example.org/*"] }
 * labels: [dependencies]
 * automerge: parameters   # the most severe class; of a site `approval.automerge` of utility.yaml says it
 * ```
 */
import * as z from "zod";
import { makeDiagnostic, placeDiagnostic, renderDiagnostic, type Diagnostic } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import { ACTION_CLASSES, type ActionClass } from "../plan/action-kinds.ts";
import { parseYamlDocument } from "../appliance/yaml-document.ts";
import { versionRange, type BlacklistEntry } from "../site/inventory.ts";

export const BUMP_FILE = "bump.yaml";

export interface BumpGroup {
  readonly name: string;
  /** URLs of repositories; a prefix when it ends with `*`. */
  readonly urls: readonly string[];
}

export interface BumpRules {
  readonly limit: number;
  readonly minimumAgeMs: number;
  readonly patienceMs: number;
  readonly ignore: readonly BlacklistEntry[];
  readonly groups: readonly BumpGroup[];
  readonly labels: readonly string[];
  /** Undefined: nothing is merged by itself. */
  readonly automerge: ActionClass | undefined;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MAX_LIST = 1000;

const DEFAULT_RULES: BumpRules = {
  limit: 10,
  minimumAgeMs: 0,
  patienceMs: 7 * DAY_MS,
  ignore: [],
  groups: [],
  labels: [],
  automerge: undefined,
};

const text = z.string().min(1).max(1000);

const duration = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,3})[hdw]$/, "expected hours, days or weeks like 12h, 3d or 2w")
  .transform(parseDuration);

const schema = z.strictObject({
  format: z.literal(1),
  limit: z.int().min(0).max(100).optional(),
  minimumAge: duration.optional(),
  patience: duration.optional(),
  ignore: z
    .array(
      z.strictObject({
        url: text,
        versions: z.union([versionRange, z.array(versionRange).max(MAX_LIST)]).optional(),
        reason: text.optional(),
      }),
    )
    .max(MAX_LIST)
    .nullish(),
  groups: z
    .array(
      z.strictObject({
        name: z
          .string()
          .regex(
            /^[A-Za-z0-9][A-Za-z0-9_-]{0,60}$/,
            "expected a letter or digit, then letters, digits, _ and -",
          ),
        urls: z.array(text).min(1).max(MAX_LIST),
      }),
    )
    .max(MAX_LIST)
    .nullish(),
  labels: z
    .array(
      z
        .string()
        .regex(/^[^\p{C},]{1,50}$/u, "expected at most 50 characters without a comma")
        .refine(
          (label) => !label.startsWith("collective"),
          "labels that begin with `collective` are made by cui",
        ),
    )
    .max(20)
    .nullish(),
  automerge: z.enum(ACTION_CLASSES).optional(),
});

export interface ParsedRules {
  /** Undefined when diagnostics has errors. */
  readonly rules: BumpRules | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

/** `file` is what diagnostics show. */
export function parseBumpRules(
  content: string,
  file: string,
  { isSite = false }: { readonly isSite?: boolean } = {},
): ParsedRules {
  const { value, diagnostics, spanOf } = parseYamlDocument({
    text: content,
    file,
    schema,
    code: "BUMP_RULES_INVALID",
  });
  if (value === undefined) return { rules: undefined, diagnostics };
  const seen = new Set<string>();
  const twice = (value.groups ?? []).flatMap(({ name }, index): Diagnostic[] => {
    const isTwice = seen.has(name.toLowerCase());
    seen.add(name.toLowerCase());
    if (!isTwice) return [];
    const message = `the group ${JSON.stringify(name)} is there twice`;
    const span = spanOf(["groups", index, "name"]);
    return [{ code: "BUMP_RULES_INVALID", severity: "error", message, span }];
  });
  const elsewhere =
    isSite && value.automerge !== undefined
      ? [
          makeDiagnostic(
            "BUMP_RULES_INVALID",
            "automerge: of a site approval.automerge of utility.yaml says it, this line would have no effect",
            spanOf(["automerge"]),
            { hint: "move the line there: approval: { automerge: … }" },
          ),
        ]
      : [];
  const mistakes = [...twice, ...elsewhere];
  if (mistakes.length > 0) return { rules: undefined, diagnostics: mistakes };
  const rules: BumpRules = {
    limit: value.limit ?? DEFAULT_RULES.limit,
    minimumAgeMs: value.minimumAge ?? DEFAULT_RULES.minimumAgeMs,
    patienceMs: value.patience ?? DEFAULT_RULES.patienceMs,
    ignore: (value.ignore ?? []).map((entry) => ({
      url: entry.url,
      versions: entry.versions === undefined ? undefined : [entry.versions].flat(),
      reason: entry.reason,
    })),
    groups: value.groups ?? [],
    labels: value.labels ?? [],
    automerge: value.automerge,
  };
  return { rules, diagnostics: [] };
}

/** @throws CollectiveError INVALID_INPUT with every mistake at its place. */
export function checkedBumpRules(
  content: string | undefined,
  { isSite }: { readonly isSite: boolean },
): BumpRules {
  if (content === undefined) return DEFAULT_RULES;
  const { rules, diagnostics } = parseBumpRules(content, BUMP_FILE, { isSite });
  if (rules !== undefined) return rules;
  const rendered = diagnostics.map((diagnostic) => renderDiagnostic(diagnostic, () => content)).join("\n");
  const count = `${diagnostics.length} mistake${diagnostics.length === 1 ? "" : "s"}`;
  throw new CollectiveError("INVALID_INPUT", `${BUMP_FILE} has ${count}\n${rendered}`, {
    diagnostics: diagnostics.map((diagnostic) => placeDiagnostic(diagnostic, () => content)),
    hint: `correct ${BUMP_FILE}; nothing was changed`,
  });
}

function parseDuration(value: string): number {
  const unit = { h: HOUR_MS, d: DAY_MS, w: 7 * DAY_MS }[value.slice(-1)] ?? DAY_MS;
  return Number(value.slice(0, -1)) * unit;
}
