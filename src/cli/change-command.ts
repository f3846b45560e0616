/** `cui start` and `cui update` as commands: they differ in what they touch. */
import type { Command } from "commander";
import type { ComponentPath } from "../cvl/tree.ts";
import { machineName } from "../network/paths.ts";
import { ACTION_KINDS } from "../plan/action-kinds.ts";
import type { Plan } from "../plan/plan.ts";
import { reservation } from "../plan/render-terminal.ts";
import { confirm } from "./confirm.ts";
import { changeNetwork, type ChangeResult, type HostsBefore } from "../manager/apply/change-network.ts";
import { loadSiteAppliance } from "../manager/change/load-site-appliance.ts";
import { summarizeActions } from "../manager/rollout/rollout-report.ts";
import type { TimelineSummary } from "../manager/change/timeline.ts";
import type { CliContext } from "./context.ts";
import { DEFAULT_READY_SECONDS, parseSeconds } from "./seconds.ts";
import { addNewDataDiskOption, type NewDataDiskFlag } from "./new-data-disk.ts";
import { gitOf } from "./git-of.ts";
import { nameNetwork, openManager } from "./manager.ts";
import { createProgressView } from "./render-progress.ts";

interface Flags extends NewDataDiskFlag {
  readonly json?: boolean;
  readonly object?: string;
  readonly timeout: string;
  readonly takeOver?: boolean;
  readonly latest?: boolean;
  readonly yes?: boolean;
}

export function configureChange(command: Command, context: CliContext, kind: "start" | "update"): void {
  addNewDataDiskOption(command)
    .argument("<cvl>", "the root file")
    .argument("[component]", "only this component and what lies below it")
    .option("--object <name>", "the root object, where the file has several")
    .option("--timeout <seconds>", "how long a guest may take to become ready", DEFAULT_READY_SECONDS)
    .option("--take-over", "take the network from a manager on another machine that is certainly dead")
    .option("--yes", "do not ask before machines or data are taken away")
    .option("--json", "print the result as JSON")
    .action(async (cvl: string, component: string | undefined, flags: Flags) => {
      await runChange(context, { kind, cvl, component, flags });
    });
}

async function runChange(
  context: CliContext,
  options: { kind: "start" | "update"; cvl: string; component: string | undefined; flags: Flags },
): Promise<void> {
  const { kind, cvl, component, flags } = options;
  const readyMs = 1000 * parseSeconds("--timeout", flags.timeout, { least: 1 });
  const manager = await openManager(context, { writes: true });
  const network = nameNetwork(manager, { cwd: context.cwd, cvl, object: flags.object });
  const progress = createProgressView(context, { quiet: flags.json === true });
  try {
    const result = await changeNetwork({
      ...manager,
      kind,
      networkId: network.networkId,
      site: manager.site.folder,
      file: network.file,
      component,
      newDataDisks: flags.newDataDisk,
      inventory: manager.site.inventory,
      loadAppliance: () =>
        loadSiteAppliance({
          git: gitOf(context),
          cwd: context.cwd,
          file: cvl,
          object: flags.object,
          inventory: manager.site.inventory,
          versions: flags.latest === true ? "newest" : "locked",
          writeLock: true,
        }),
      env: context.env,
      progress,
      limits: { readyMs },
      takeOver: flags.takeOver ?? false,
      onDecided: async (plan, hosts) => {
        for (const { message } of plan.warnings) context.warn(`warning: ${message}`);
        await confirm(context, takenAway(plan, hosts), flags);
        await network.register({ onWait: context.warn });
      },
    });
    await Promise.all([progress.close(), manager.tidy()]);
    if (flags.json === true) context.print(JSON.stringify(toJson(result), undefined, 2));
    else report(context, result, { kind, cvl });
  } finally {
    await progress.close();
  }
}

/** What is gone, or put aside, afterwards. A replacement is not: its data stays. */
function takenAway({ actions }: Plan, hosts: HostsBefore): readonly string[] {
  return actions
    .filter(({ kind, class: severity }) => severity === "data" || ACTION_KINDS[kind].isFinal === true)
    .map((action) => {
      const device = "device" in action ? ` ${action.device ?? ""} of` : "";
      const why = action.reasons.map(({ text }) => text).join("; ");
      const { component = "" } = action;
      const host = hosts.get(component);
      const where = host === undefined ? "" : ` on ${host}`;
      return `${ACTION_KINDS[action.kind].words}${device} ${machineName(component)}${where}: ${why}`;
    });
}

function report(context: CliContext, result: ChangeResult, command: { kind: string; cvl: string }): void {
  const { pending, leftStopped, warnings, timeline, plan } = result;
  for (const warning of warnings) context.warn(`warning: ${warning}`);
  if (pending.length > 0) {
    context.warn(`note: changes of ${namesOf(pending)} wait for \`cui update ${command.cvl}\``);
  }
  if (leftStopped.length > 0) {
    const component = leftStopped.every((path) => path === "") ? "" : " <component>";
    context.warn(
      `note: ${namesOf(leftStopped)} stays stopped; \`cui start ${command.cvl}${component}\` starts it`,
    );
  }
  const done = summarizeActions(plan.actions);
  const but = done === "nothing to do" ? (reservation(plan) ?? "") : "";
  context.print(`${done}${but} in ${renderTimes(timeline)}`);
}

function namesOf(paths: readonly ComponentPath[]): string {
  return paths.map(machineName).join(", ");
}

/** `6.1 s; manager's own share 0.8 s` */
export function renderTimes({ totalMs, ownMs }: TimelineSummary): string {
  return `${(totalMs / 1000).toFixed(1)} s; manager's own share ${(ownMs / 1000).toFixed(1)} s`;
}

function toJson(result: ChangeResult): unknown {
  const { timeline, plan } = result;
  return {
    network: result.networkId,
    appliance: plan.appliance,
    class: plan.class,
    inputDigest: plan.inputDigest,
    actions: result.outcomes.map(({ action, outcome }) => ({
      id: action.id,
      kind: action.kind,
      class: action.class,
      ...(action.component === undefined
        ? {}
        : { component: action.component, host: result.hosts[action.component] }),
      ...(action.versions === undefined ? {} : { versions: action.versions }),
      reasons: action.reasons,
      state: outcome.state,
    })),
    warnings: [...plan.warnings.map(({ message }) => message), ...result.warnings],
    pending: result.pending,
    leftStopped: result.leftStopped,
    ...timesToJson(timeline),
  };
}

export function timesToJson({ totalMs, ownMs, timings }: TimelineSummary): object {
  const round = (milliseconds: number): number => Math.round(milliseconds * 10) / 10;
  return {
    totalMs: round(totalMs),
    ownMs: round(ownMs),
    timings: timings.map(({ name, fromMs, toMs, isGuest }) => ({
      name,
      fromMs: round(fromMs),
      toMs: round(toMs),
      isGuest,
    })),
  };
}
