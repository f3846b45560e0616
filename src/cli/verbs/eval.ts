/** `cui eval <cvl> [path]`: every parameter as the utility would see it. */
import type { Command } from "commander";
import { evaluate } from "../../cvl/evaluate/evaluate.ts";
import { hintNearest } from "../../cvl/nearest.ts";
import { elementToJson, writeTreeJson } from "../../cvl/evaluate/tree-json.ts";
import { renderElements, renderTree } from "../../cvl/evaluate/tree-text.ts";
import type { Component, InstanceTree, Parameter } from "../../cvl/tree.ts";
import { visible } from "../../diagnostics.ts";
import { CollectiveError } from "../../errors.ts";
import type { CliContext } from "../context.ts";
import { countDiagnostics, loadProgram, printDiagnostics } from "../cvl-program.ts";

interface EvalOptions {
  readonly json?: boolean;
  readonly object?: string;
}

export function configure(command: Command, context: CliContext): void {
  command
    .argument("<cvl>", "the CVL file")
    .argument("[path]", "a component (`d`), a parameter (`domain`) or both (`d.ethernet0.ip`)")
    .option("--json", "print JSON")
    .option("--object <name>", "the object to evaluate, where the file has several")
    .addHelpText(
      "after",
      "\nExamples:\n  cui eval office.cvl\n  cui eval office.cvl dns.domain\n  cui eval office.cvl --json | jq '.components | keys'\n",
    )
    .action(async (file: string, path: string | undefined, options: EvalOptions) => {
      await evaluateFile({ file, path, ...options }, context);
    });
}

interface EvalRequest extends EvalOptions {
  readonly file: string;
  readonly path: string | undefined;
}

async function evaluateFile({ file, path, json, object }: EvalRequest, context: CliContext): Promise<void> {
  const { program, diagnostics, textOf } = await loadProgram(file, object, context);
  printDiagnostics(diagnostics, textOf, context);
  if (program === undefined) throw hasErrors(file, countDiagnostics(diagnostics));
  const result = evaluate(program);
  printDiagnostics(result.diagnostics, textOf, context);
  if (result.diagnostics.length > 0) throw hasErrors(file, countDiagnostics(result.diagnostics));
  const selection = select(result.tree, path);
  if (json === true) printJson(result.tree, selection, context);
  else printText(result.tree, selection, context);
}

function hasErrors(file: string, counts: string): CollectiveError {
  return new CollectiveError("INVALID_INPUT", `${file} has ${counts}`);
}

/** What a path names: components with all below them, or one parameter, or an interface of a machine. */
type Selection =
  | { readonly kind: "components"; readonly path: string }
  | { readonly kind: "parameter"; readonly path: string; readonly parameter: Parameter }
  | { readonly kind: "interface"; readonly component: Component; readonly name: string };

function select(tree: InstanceTree, path: string | undefined): Selection {
  if (path === undefined || tree.components.has(path)) return { kind: "components", path: path ?? "" };
  for (let dot = path.length; dot !== -1; dot = path.lastIndexOf(".", dot - 1)) {
    const isRoot = dot === path.length;
    const component = tree.components.get(isRoot ? "" : path.slice(0, dot));
    if (component === undefined) continue;
    const found = selectIn(component, isRoot ? path : path.slice(dot + 1));
    if (found !== undefined) return found;
    if (dot === 0) break;
  }
  throw nothingThere(tree, path);
}

function selectIn(component: Component, name: string): Selection | undefined {
  const parameter = component.parameters.get(name);
  if (parameter !== undefined) return { kind: "parameter", path: fullPath(component, name), parameter };
  return component.interfaces.includes(name) ? { kind: "interface", component, name } : undefined;
}

function nothingThere(tree: InstanceTree, path: string): CollectiveError {
  const hint = hintNearest(path, allPaths(tree));
  return new CollectiveError(
    "INVALID_INPUT",
    `${tree.appliance} has no component or parameter ${visible(path)}`,
    hint === undefined ? {} : { hint },
  );
}

function* allPaths(tree: InstanceTree): Iterable<string> {
  for (const component of tree.components.values()) {
    if (component.path !== "") yield component.path;
    for (const name of component.parameters.keys()) yield fullPath(component, name);
  }
}

function printJson(tree: InstanceTree, selection: Selection, context: CliContext): void {
  if (selection.kind === "components") {
    for (const piece of writeTreeJson(tree, isUnder(selection.path))) context.print(piece);
  } else if (selection.kind === "parameter") {
    context.print(JSON.stringify(selection.parameter.elements.map(elementToJson)));
  } else {
    const entries = interfaceParameters(selection.component, selection.name).map(
      ([name, { elements }]) => [name, elements.map(elementToJson)] as const,
    );
    context.print(JSON.stringify(Object.fromEntries(entries)));
  }
}

function printText(tree: InstanceTree, selection: Selection, context: CliContext): void {
  if (selection.kind === "components") {
    for (const piece of renderTree(tree, isUnder(selection.path))) context.print(piece);
  } else if (selection.kind === "parameter") {
    for (const line of renderElements(selection.parameter, selection.path)) context.print(line);
  } else {
    const { component, name: parent } = selection;
    for (const [name, parameter] of interfaceParameters(component, parent)) {
      const path = fullPath(component, `${parent}.${name}`);
      context.print(`${name.padEnd(INTERFACE_WIDTH)}  ${renderElements(parameter, path).join(", ")}`);
    }
  }
}

const INTERFACE_WIDTH = "defaultroute".length;

function fullPath({ path }: Component, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

function isUnder(path: string): (candidate: string) => boolean {
  if (path === "") return () => true;
  return (candidate) => candidate === path || candidate.startsWith(`${path}.`);
}

function interfaceParameters({ parameters }: Component, name: string): (readonly [string, Parameter])[] {
  const prefix = `${name}.`;
  return [...parameters].flatMap(([key, parameter]) =>
    key.startsWith(prefix) ? [[key.slice(prefix.length), parameter] as const] : [],
  );
}
