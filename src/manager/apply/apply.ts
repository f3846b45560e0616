/** Carries out a plan's actions: each the moment what it needs is done, journaled, with what went wrong said at the end. */
import { ACTION_KINDS, hasStep, type StepKind } from "../../plan/action-kinds.ts";
import type { Action } from "../../plan/plan.ts";
import { CollectiveError, messageOf } from "../../errors.ts";
import {
  noteMachine,
  removeMachine,
  replaceMachine,
  resendParameters,
  resumeMachine,
  startMachine,
  stopMachine,
} from "./machine-steps.ts";
import type { Operation } from "../change/operation.ts";
import { runGraph, type StepOutcome } from "./run-graph.ts";
import { machineName } from "../../network/paths.ts";

export interface ActionOutcome {
  readonly action: Action;
  readonly outcome: StepOutcome;
}

/** Never rejects for a failed action: the outcomes say. */
export async function applyActions(
  operation: Operation,
  actions: readonly Action[],
): Promise<ActionOutcome[]> {
  const outcomes = await runGraph({
    steps: actions,
    limit: operation.limits.parallel,
    run: async (action) => {
      await runAction(operation, action);
    },
  });
  for (const action of actions) {
    const outcome = outcomes.get(action.id);
    if (outcome?.state === "skipped" && hasStep(action.kind)) {
      operation.progress.skip(
        action.id,
        `not done: ${titleOf(operation, action)}, because ${outcome.because} failed`,
      );
    }
  }
  return actions.flatMap((action) => {
    const outcome = outcomes.get(action.id);
    return outcome === undefined ? [] : [{ action, outcome }];
  });
}

/** @throws CollectiveError UTILITY_INCOMPLETE, or the one error when a single action failed and nothing was skipped. */
export function requireAllDone(outcomes: readonly ActionOutcome[]): void {
  const failures = outcomes.flatMap(({ action, outcome }) =>
    outcome.state === "failed" ? [{ action, error: outcome.error }] : [],
  );
  const [first] = failures;
  if (first === undefined) return;
  const fatal = failures.find(
    ({ error }) => error instanceof CollectiveError && error.code === "UTILITY_LEASE_LOST",
  );
  if (fatal !== undefined) throw fatal.error;
  const defect = failures.find(({ error }) => !(error instanceof CollectiveError));
  if (defect !== undefined) throw defect.error;
  const skipped = outcomes.filter(
    ({ action, outcome }) => outcome.state === "skipped" && hasStep(action.kind),
  );
  const lines = [
    ...failures.map(({ action, error }) => `\n  ${action.id}: ${codeOf(error)}${messageOf(error)}`),
    ...(skipped.length === 0
      ? []
      : [`\n  not done because of it: ${skipped.map(({ action }) => action.id).join(", ")}`]),
  ];
  throw new CollectiveError(
    "UTILITY_INCOMPLETE",
    `${failures.length} of ${outcomes.length} actions failed${lines.join("")}`,
    {
      cause: first.error,
      data: {
        failed: failures.map(({ action, error }) => ({
          action: action.id,
          code: error instanceof CollectiveError ? error.code : "",
          message: messageOf(error),
        })),
        skipped: skipped.map(({ action }) => action.id),
      },
      hint: `${hintOf(first.error)}running the command again goes on from what runs; \`cui status\` shows it`,
    },
  );
}

async function runAction(operation: Operation, action: Action): Promise<void> {
  const { kind, component } = action;
  if (kind === "note") await noteMachine(operation, action.id, component);
  if (kind === "detach-data-disk") operation.warnings.push(detached(operation, action));
  if (component === undefined || !hasStep(kind)) return;
  operation.progress.begin(action.id, titleOf(operation, action));
  try {
    await STEPS[kind](operation, action.id, component);
    operation.progress.end(action.id);
  } catch (error) {
    operation.progress.fail(action.id, messageOf(error));
    throw error;
  }
}

function detached(operation: Operation, { component, device }: Extract<Action, { device: string }>): string {
  const host = operation.records.get(component)?.host ?? "";
  return `data disk ${device} of ${machineName(component)} is detached; its data stays on ${host}`;
}

/** The other kinds have no step of their own: ports come with a machine, disks are made, grown and let go of at its start. */
const STEPS: Record<StepKind, (operation: Operation, step: string, component: string) => Promise<void>> = {
  start: startMachine,
  replace: replaceMachine,
  restart: replaceMachine,
  resume: resumeMachine,
  "send-parameters": resendParameters,
  stop: stopMachine,
  remove: removeMachine,
};

function titleOf(operation: Operation, { kind, component = "" }: Action): string {
  const host = operation.goals.get(component)?.host ?? operation.records.get(component)?.host;
  return `${ACTION_KINDS[kind].verb ?? kind} ${machineName(component)}${host === undefined ? "" : ` on ${host}`}`;
}

function codeOf(error: unknown): string {
  return error instanceof CollectiveError ? `${error.code}: ` : "";
}

function hintOf(error: unknown): string {
  return error instanceof CollectiveError && error.hint !== undefined ? `${error.hint}; ` : "";
}
