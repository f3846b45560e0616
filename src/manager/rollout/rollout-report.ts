/** What became of a rollout: of every network, and of all together. Plain data, but for the plans, which stay here. */
import { visible } from "../../diagnostics.ts";
import { ACTION_KINDS } from "../../plan/action-kinds.ts";
import type { Action, Plan } from "../../plan/plan.ts";

export const STATUS_FORMAT = 1;

/**
 * - `done`: it runs as the commit says, and something was changed for that.
 * - `unchanged`: it ran so already, or stays stopped as somebody wished.
 * - `refused`: nothing was changed, because it may not be.
 * - `failed`: something went wrong; what was done stays done.
 * - `gone`: its root file is no more; left as it is.
 */
export type NetworkOutcome = "done" | "unchanged" | "refused" | "failed" | "gone";

export interface NetworkReport {
  /** Root file, relative to the site. */
  readonly file: string;
  readonly object?: string | undefined;
  readonly networkId: string;
  readonly outcome: NetworkOutcome;
  /** A sentence each: why it was refused, what failed, what to do about it. */
  readonly reasons: readonly string[];
  readonly warnings: readonly string[];
  /** The real plan, as far as it could be made. */
  readonly plan: Plan | undefined;
  /** What failed may succeed when it is tried again: a host that does not answer, somebody who works on the network. */
  readonly isWorthRetrying: boolean;
  readonly totalMs: number;
}

export interface RolloutReport {
  readonly commit: string;
  /** The worst of all: `failed`, then `refused`. */
  readonly outcome: "done" | "refused" | "failed";
  readonly isWorthRetrying: boolean;
  readonly networks: readonly NetworkReport[];
}

/** In the order of the networks. */
export function summarizeRollout(commit: string, networks: readonly NetworkReport[]): RolloutReport {
  const has = (outcome: NetworkOutcome): boolean => networks.some((network) => network.outcome === outcome);
  return {
    commit,
    outcome: has("failed") ? "failed" : has("refused") ? "refused" : "done",
    isWorthRetrying: networks.some(({ isWorthRetrying }) => isWorthRetrying),
    networks,
  };
}

/** One line, the worst first: `refused acme.cvl: 2 persons are needed …`, `replaced 1 machine of acme.cvl`. */
export function reasonLine({ networks }: Pick<RolloutReport, "networks">): string {
  for (const outcome of ["failed", "refused"] as const) {
    const found = networks.filter((network) => network.outcome === outcome);
    const [first] = found;
    if (first === undefined) continue;
    const more = found.length === 1 ? "" : ` (and ${found.length - 1} more)`;
    return visible(`${outcome} ${first.file}: ${firstLine(first.reasons[0] ?? "")}${more}`);
  }
  const done = networks.filter(({ outcome }) => outcome === "done");
  if (done.length === 0) return "everything runs as it should already";
  return done
    .map(({ plan, file }) => `${summarizeActions(plan?.actions ?? [])} of ${visible(file)}`)
    .join("; ");
}

/** `started 3 machines`, `replaced 1 machine, sent parameters to 1 machine`. */
export function summarizeActions(actions: readonly Action[]): string {
  const parts = Object.entries(ACTION_KINDS).flatMap(([kind, { done }]) => {
    const count = actions.filter((action) => action.kind === kind).length;
    return count === 0 || done === undefined ? [] : [`${done} ${count} machine${count === 1 ? "" : "s"}`];
  });
  return parts.length === 0 ? "nothing to do" : parts.join(", ");
}

/** The report for programs: what a status ref holds and `--json` prints. */
export function rolloutToJson(report: RolloutReport): Record<string, unknown> {
  return {
    format: STATUS_FORMAT,
    commit: report.commit,
    outcome: report.outcome,
    reason: reasonLine(report),
    networks: report.networks.map((network) => ({
      file: network.file,
      ...(network.object === undefined ? {} : { object: network.object }),
      network: network.networkId,
      outcome: network.outcome,
      reasons: network.reasons,
      warnings: network.warnings,
      ...(network.plan === undefined
        ? {}
        : {
            class: network.plan.class,
            inputDigest: network.plan.inputDigest,
            planDigest: network.plan.planDigest,
            actions: network.plan.actions.map(({ id }) => id),
          }),
      totalMs: Math.round(network.totalMs),
    })),
  };
}

function firstLine(text: string): string {
  return text.split("\n")[0] ?? "";
}
