/** The actions that workflows and documents use, compared with what is known of them: pinned-actions.yaml, and actions/ for our own. */
import { existsSync, readFileSync } from "node:fs";
import { parse } from "yaml";
import * as z from "zod";
import type { ActionMetadata, ActionReference } from "./github-validator.ts";
import { findRuntimeProblem } from "./runtimes.ts";

/** An action of somebody else, as its action.yml says at that commit. */
const pinnedAction = z.strictObject({
  version: z.string().regex(/^v\d+\.\d+\.\d+$/),
  commit: z.string().regex(/^[0-9a-f]{40}$/),
  /** When action.yml was read. */
  read: z.iso.date(),
  using: z.string(),
  inputs: z.array(z.string()),
  required: z.array(z.string()).optional(),
});
const pinnedActions = z.record(z.string().regex(/^[\w.-]+\/[\w.-]+$/), pinnedAction);

export type PinnedActions = Readonly<z.infer<typeof pinnedActions>>;

/** Collective's own actions: as templates have them, and as the tests of `cui init` put them in. */
const OWN = /^(?:your-organisation|acme)\/collective\/actions\/([a-z]+)$/;

export function readPinnedActions(file: string): PinnedActions {
  return pinnedActions.parse(parse(readFileSync(file, "utf8")));
}

/** Runtimes of the list that no runner has. */
export function findPinnedRuntimeProblems(pinned: PinnedActions): string[] {
  return Object.entries(pinned).flatMap(([name, { using }]) => {
    const problem = findRuntimeProblem(using);
    return problem === undefined ? [] : [`${name}: ${problem}`];
  });
}

/** What follows `uses:` in each line of a workflow or a document that begins with it. */
export function listUses(text: string): string[] {
  return text.split("\n").flatMap((line) => /^\s*(?:- )?uses:\s*(.*)$/.exec(line)?.[1] ?? []);
}

/** Uses that are no full commit with its version behind it, or not those of the list. */
export function findPinProblems(text: string, pinned: PinnedActions): string[] {
  return listUses(text).flatMap((use) => {
    const [, name, commit, version] = /^([^@\s]+)@([0-9a-f]{40}) # (\S.*)$/.exec(use) ?? [];
    if (name === undefined) return [`pin: ${use}: expected a full commit, and its version as a comment`];
    if (isOwn(name)) return [];
    const known = pinned[name];
    if (known === undefined) return [`pin: ${use}: not in pinned-actions.yaml`];
    if (commit === known.commit && version === known.version) return [];
    return [`pin: ${use}: pinned-actions.yaml has ${known.commit} # ${known.version}`];
  });
}

/** The inputs of an action, for GitHub's validator; undefined when it is not one that may be used here. */
export function lookUpInputs(action: ActionReference, pinned: PinnedActions): ActionMetadata | undefined {
  const name = [action.owner, action.name, ...(action.path === undefined ? [] : [action.path])].join("/");
  if (isOwn(name)) return parse(readFileSync(ownFile(name), "utf8")) as ActionMetadata;
  const known = pinned[name];
  if (known?.commit !== action.ref) return undefined;
  return {
    inputs: Object.fromEntries(
      known.inputs.map((input) => [input, { required: known.required?.includes(input) ?? false }]),
    ),
  };
}

function isOwn(name: string): boolean {
  return OWN.test(name) && existsSync(ownFile(name));
}

function ownFile(name: string): string {
  return `actions/${OWN.exec(name)?.[1] ?? ""}/action.yml`;
}
