// Prunes GitHub's OpenAPI description to the operations the forge uses; the result is what the test server checks against.
// Run when an operation is added (the full description is 12 MB of a 390 MB package, so it is no dependency):
//   npm install --prefix /tmp/openapi @octokit/openapi@23
//   node scripts/prune-github-openapi.ts /tmp/openapi/node_modules/@octokit/openapi
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
/** By two names: of url and method, or of kind and component. */
type Groups = Record<string, Record<string, Json>>;

interface Description {
  readonly openapi: string;
  readonly info: { readonly version: string; readonly license: Json };
  readonly paths: Record<string, Record<string, { [key: string]: Json }>>;
  readonly components: Groups;
}

const target = path.join(import.meta.dirname, "../test/forge/github-openapi.json");

/** By tag: what src/forge calls, and what a test needs to see the result. */
const operations = {
  actions: [
    "download-artifact",
    "get-artifact",
    "get-workflow-run",
    "list-artifacts-for-repo",
    "list-workflow-run-artifacts",
    "list-workflow-runs-for-repo",
  ],
  checks: ["create", "get", "list-annotations", "list-for-ref", "update"],
  git: [
    "create-blob",
    "create-commit",
    "create-ref",
    "create-tree",
    "delete-ref",
    "get-blob",
    "get-commit",
    "get-ref",
    "get-tree",
    "list-matching-refs",
    "update-ref",
  ],
  issues: [
    "add-labels",
    "create-comment",
    "create-label",
    "delete-comment",
    "get-comment",
    "get-label",
    "list-comments",
    "list-labels-for-repo",
    "list-labels-on-issue",
    "remove-label",
    "set-labels",
    "update",
    "update-comment",
  ],
  pulls: ["create", "create-review", "get", "list", "list-files", "list-reviews", "merge", "update"],
  repos: [
    "compare-commits-with-basehead",
    "create-commit-status",
    "create-deployment",
    "create-deployment-branch-policy",
    "create-deployment-status",
    "create-dispatch-event",
    "create-or-update-environment",
    "create-or-update-file-contents",
    "create-release",
    "create-repo-ruleset",
    "delete-deployment",
    "get",
    "get-all-environments",
    "get-branch",
    "get-branch-protection",
    "get-collaborator-permission-level",
    "get-combined-status-for-ref",
    "get-commit",
    "get-content",
    "get-deployment",
    "get-environment",
    "get-latest-release",
    "get-release-by-tag",
    "get-repo-ruleset",
    "get-repo-rulesets",
    "list-commit-statuses-for-ref",
    "list-deployment-branch-policies",
    "list-deployment-statuses",
    "list-deployments",
    "list-pull-requests-associated-with-commit",
    "list-releases",
    "update-branch-protection",
    "update-release",
    "update-repo-ruleset",
  ],
  teams: ["get-by-name"],
  users: ["get-authenticated", "get-by-username"],
};

const wanted = new Set(
  Object.entries(operations).flatMap(([tag, names]) => names.map((name) => `${tag}/${name}`)),
);

/** Text for people, and what no validator reads. */
const droppedKeys = new Set([
  "description",
  "summary",
  "example",
  "examples",
  "externalDocs",
  "tags",
  "callbacks",
  "title",
]);
/** Under these keys the next names are names of properties, not of the description's own fields. */
const nameMaps = new Set([
  "properties",
  "schemas",
  "responses",
  "parameters",
  "headers",
  "patternProperties",
]);

const source = process.argv[2];
if (source === undefined) throw new Error("expected the folder of the package @octokit/openapi");
const full = JSON.parse(
  readFileSync(path.join(source, "generated/api.github.com.json"), "utf8"),
) as Description;
const { version } = JSON.parse(readFileSync(path.join(source, "package.json"), "utf8")) as {
  version: string;
};

const paths = prunePaths(full.paths);
const components = collectComponents(paths);
const pruned = {
  openapi: full.openapi,
  info: {
    title: "GitHub's REST API, pruned",
    version: full.info.version,
    license: full.info.license,
    "x-made-from": `@octokit/openapi ${version} by scripts/prune-github-openapi.ts`,
  },
  paths,
  components,
};
writeFileSync(target, onePerLine(pruned));
console.log(`${path.relative(process.cwd(), target)}: ${wanted.size} operations`);

function prunePaths(all: Description["paths"]): Groups {
  const result: Groups = {};
  const missing = new Set(wanted);
  for (const [url, item] of Object.entries(all)) {
    for (const [method, operation] of Object.entries(item)) {
      const { operationId } = operation;
      if (typeof operationId !== "string" || !wanted.has(operationId)) continue;
      missing.delete(operationId);
      (result[url] ??= {})[method] = strip(operation);
    }
  }
  if (missing.size > 0) throw new Error(`GitHub does not describe ${[...missing].join(", ")}`);
  return result;
}

/** Everything a `$ref` reaches from the paths, over and over. */
function collectComponents(from: Groups): Groups {
  const found: Groups = {};
  const queue: Json[] = [from];
  for (let node = queue.pop(); node !== undefined; node = queue.pop()) {
    if (typeof node !== "object" || node === null) continue;
    if (!Array.isArray(node) && typeof node.$ref === "string") {
      const [, , kind = "", name = ""] = node.$ref.split("/");
      const group = (found[kind] ??= {});
      if (group[name] === undefined) {
        const component = full.components[kind]?.[name];
        if (component === undefined) throw new Error(`GitHub does not describe ${node.$ref}`);
        group[name] = strip(component);
        queue.push(group[name]);
      }
    }
    queue.push(...Object.values(node));
  }
  return found;
}

/** One operation or component a line, so that a difference can be read. */
function onePerLine({ paths, components, ...rest }: typeof pruned): string {
  const lines = (entries: object, indent: string): string =>
    Object.entries(entries)
      .map(([name, value]) => `${indent}${JSON.stringify(name)}: ${JSON.stringify(value)}`)
      .join(",\n");
  const nested = (groups: Groups): string =>
    Object.entries(groups)
      .map(([name, entries]) => `    ${JSON.stringify(name)}: {\n${lines(entries, "      ")}\n    }`)
      .join(",\n");
  return `{\n${lines(rest, "  ")},\n  "paths": {\n${nested(paths)}\n  },\n  "components": {\n${nested(components)}\n  }\n}\n`;
}

function strip(node: Json, namesFollow = false): Json {
  if (Array.isArray(node)) return node.map((entry) => strip(entry));
  if (typeof node !== "object" || node === null) return node;
  return Object.fromEntries(
    Object.entries(node)
      .filter(([key]) => namesFollow || (!droppedKeys.has(key) && !key.startsWith("x-")))
      .map(([key, value]) => [
        key,
        key === "enum" || key === "default" ? value : strip(value, !namesFollow && nameMaps.has(key)),
      ]),
  );
}
