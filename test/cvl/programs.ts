/** What the tests of cvl have in common: programs from texts, their values and their errors in short. */
import { evaluate, type EvaluateResult } from "../../src/cvl/evaluate/evaluate.ts";
import { link, type LinkOptions, type LinkResult } from "../../src/cvl/link/link.ts";
import type { ImportRequest, ImportResolver, SourceFile } from "../../src/cvl/source.ts";
import { elementToJson, type JsonElement, writeTreeJson } from "../../src/cvl/evaluate/tree-json.ts";
import type { EvaluateOptions, InstanceTree } from "../../src/cvl/tree.ts";
import { lineAndColumn, type Diagnostic } from "../../src/diagnostics.ts";

/** A root file with the given text. */
export function rootFile(text: string, file = "root.cvl"): SourceFile {
  return { source: { url: "/site", version: null, commit: null }, file, displayName: file, text };
}

/** Files of other repositories by `url@version:file`. */
export type Repositories = Readonly<Record<string, string>>;

/** Resolves imports from texts; without a version the newest of the url is taken. */
export function resolverOf(repositories: Repositories, requests: ImportRequest[] = []): ImportResolver {
  return {
    resolve: async (request) => {
      requests.push(request);
      await Promise.resolve();
      const version = request.version ?? newestVersion(repositories, request.url);
      const displayName = `${request.url}@v${version}:${request.cvl}`;
      const text = repositories[`${request.url}@${version}:${request.cvl}`];
      if (text === undefined) return missing(request);
      const source = { url: request.url, version, commit: version.toString(16).padStart(40, "0") };
      return { source, file: request.cvl, displayName, text };
    },
  };
}

function newestVersion(repositories: Repositories, url: string): number {
  const versions = Object.keys(repositories).filter((key) => key.startsWith(`${url}@`));
  return Math.max(0, ...versions.map((key) => Number(/@(\d+):/.exec(key)?.[1])));
}

function missing(request: ImportRequest): Diagnostic {
  return {
    code: "CVL_IMPORT_OBJECT",
    severity: "error",
    message: "there is no such file",
    span: request.span,
  };
}

export function linkText(
  text: string,
  repositories: Repositories = {},
  options?: LinkOptions,
): Promise<LinkResult> {
  return link(rootFile(text), resolverOf(repositories), options);
}

/** Links and evaluates; the diagnostics are those of both. */
export async function evaluateText(
  text: string,
  repositories: Repositories = {},
  options: EvaluateOptions & LinkOptions = {},
): Promise<EvaluateResult & { readonly textOf: (file: string) => string | undefined }> {
  const { program, diagnostics } = await linkText(text, repositories, options);
  const textOf = (file: string) => program?.files.get(file)?.text ?? (file === "root.cvl" ? text : undefined);
  if (program === undefined) {
    return { tree: { appliance: "", components: new Map() }, diagnostics, textOf };
  }
  const result = evaluate(program, options);
  return { tree: result.tree, diagnostics: [...diagnostics, ...result.diagnostics], textOf };
}

/** Values by full path, as in `cui eval --json`; fails when there are diagnostics. */
export async function valuesOf(
  text: string,
  repositories: Repositories = {},
  options: EvaluateOptions & LinkOptions = {},
): Promise<(path: string) => readonly JsonElement[] | undefined> {
  const { tree, diagnostics } = await evaluateText(text, repositories, options);
  if (diagnostics.length > 0)
    throw new Error(diagnostics.map(({ code, message }) => `${code} ${message}`).join("\n"));
  const values = new Map<string, readonly JsonElement[]>();
  for (const component of tree.components.values()) {
    for (const [name, { elements }] of component.parameters) {
      values.set(component.path === "" ? name : `${component.path}.${name}`, elements.map(elementToJson));
    }
  }
  return (path) => values.get(path);
}

/** `CODE line:column` of each diagnostic. */
export function briefly(diagnostics: readonly Diagnostic[], text: string): string[] {
  return diagnostics.map(({ code, span }) => {
    if (span === undefined) return code;
    const { line, column } = lineAndColumn(text, span.start);
    return `${code} ${line}:${column}`;
  });
}

/** The whole JSON text of a tree. */
export function treeToJson(tree: InstanceTree): string {
  return [...writeTreeJson(tree)].join("\n");
}
