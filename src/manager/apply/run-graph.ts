/** Runs a graph of steps in parallel: each begins the moment what it needs is done. */
import pLimit from "p-limit";

export interface Step {
  readonly id: string;
  /** Ids of steps that must all be done before; unknown ids count as done. */
  readonly after: readonly string[];
  /** Of each list one must be done before. */
  readonly afterAny?: readonly (readonly string[])[];
}

export type StepOutcome =
  | { readonly state: "done" }
  | { readonly state: "failed"; readonly error: unknown }
  /** A step it needs failed or was skipped. */
  | { readonly state: "skipped"; readonly because: string };

export interface RunGraphOptions<S extends Step> {
  readonly steps: readonly S[];
  readonly limit: number;
  readonly run: (step: S) => Promise<void>;
}

/**
 * A failed step takes what depends on it along, the others go on. Resolves when nothing is left to run.
 * @throws Error when the steps wait for each other in a circle.
 */
export async function runGraph<S extends Step>(
  options: RunGraphOptions<S>,
): Promise<ReadonlyMap<string, StepOutcome>> {
  const limit = pLimit(options.limit);
  const outcomes = new Map<string, StepOutcome>();
  const ids = new Set(options.steps.map((step) => step.id));
  const waiting = new Set(options.steps);
  const running = new Set<Promise<void>>();

  const begin = (step: S): void => {
    waiting.delete(step);
    const promise = limit(() => options.run(step)).then(
      () => void outcomes.set(step.id, { state: "done" }),
      (error: unknown) => void outcomes.set(step.id, { state: "failed", error }),
    );
    const settled = promise.finally(() => running.delete(settled));
    running.add(settled);
  };

  for (;;) {
    settleWaiting({ waiting, outcomes, ids, begin });
    if (running.size === 0) break;
    await Promise.race(running);
  }
  if (waiting.size > 0) {
    throw new Error(`steps wait for each other: ${[...waiting].map((step) => step.id).join(", ")}`);
  }
  return outcomes;
}

/** Begins what can begin and skips what never can, until neither changes anything. */
function settleWaiting<S extends Step>(options: {
  waiting: Set<S>;
  outcomes: Map<string, StepOutcome>;
  ids: ReadonlySet<string>;
  begin: (step: S) => void;
}): void {
  const { waiting, outcomes, ids, begin } = options;
  for (let changed = true; changed;) {
    changed = false;
    for (const step of waiting) {
      const verdict = judge(step, outcomes, ids);
      if (verdict === "wait") continue;
      changed = true;
      if (verdict === "begin") {
        begin(step);
      } else {
        waiting.delete(step);
        outcomes.set(step.id, { state: "skipped", because: verdict.because });
      }
    }
  }
}

function judge(
  step: Step,
  outcomes: ReadonlyMap<string, StepOutcome>,
  ids: ReadonlySet<string>,
): "begin" | "wait" | { because: string } {
  const isDone = (id: string): boolean => !ids.has(id) || outcomes.get(id)?.state === "done";
  const isLost = (id: string): boolean =>
    ids.has(id) && ["failed", "skipped"].includes(outcomes.get(id)?.state ?? "");
  const lost =
    step.after.find(isLost) ?? (step.afterAny ?? []).find((any) => any.length > 0 && any.every(isLost))?.[0];
  if (lost !== undefined) return { because: lost };
  const isReady =
    step.after.every(isDone) && (step.afterAny ?? []).every((any) => any.length === 0 || any.some(isDone));
  return isReady ? "begin" : "wait";
}
