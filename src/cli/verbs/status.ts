/** `cui status [<cvl>]`: what runs where, asked of the hosts now. */
import type { Command } from "commander";
import { visible } from "../../diagnostics.ts";
import { CollectiveError } from "../../errors.ts";
import {
  networkStatus,
  type MachineStatus,
  type NetworkStatus,
  type StatusReport,
  type UnknownMachine,
} from "../../manager/observe/network-status.ts";
import { describeUnknown } from "../../manager/observe/unknown.ts";
import type { VerbContext } from "../context.ts";
import { nameNetwork, openManager } from "../manager.ts";
import { renderTable } from "../render-table.ts";
import { machineName } from "../../network/paths.ts";

interface Flags {
  readonly json?: boolean;
  readonly object?: string;
}

export function configure(command: Command, context: VerbContext): void {
  command
    .argument("[cvl]", "only the network of this root file")
    .option("--object <name>", "the root object, where the file has several")
    .option("--json", "print it as JSON")
    .addHelpText("after", "\nExamples:\n  cui status\n  cui status acme.cvl --json\n")
    .action(async (cvl: string | undefined, flags: Flags) => {
      const manager = await openManager(context);
      const named =
        cvl === undefined ? undefined : nameNetwork(manager, { cwd: context.cwd, cvl, object: flags.object });
      const report = await networkStatus({
        ...manager,
        inventory: manager.site.inventory,
        ...(named === undefined ? {} : { networkId: named.networkId }),
      });
      if (named !== undefined && isEmpty(report)) {
        throw new CollectiveError("UTILITY_NETWORK_UNKNOWN", `${named.file} was never started here`, {
          hint: "cui status lists what was; CUI_STATE names the state repository",
        });
      }
      if (report.damaged.length > 0) context.exitWith(1);
      if (flags.json === true) {
        context.print(JSON.stringify(report, undefined, 2));
        return;
      }
      for (const line of report.unreachable.map(renderUnreachable)) context.warn(line);
      for (const { networkId, code, message } of report.damaged)
        context.warn(`error ${code}: ${networkId}: ${visible(message)}`);
      context.print(renderReport(report));
    });
}

/** `warning: host h1: it has not answered within 3 s; acme.cvl: unknown is whether d and w run`. */
function renderUnreachable({ host, message, unknown }: StatusReport["unreachable"][number]): string {
  const parts = unknown.map((part) => `${part.file}: ${describeUnknown(part) ?? ""}`);
  return `warning: host ${host}: ${visible([message, ...parts].join("; "))}`;
}

function isEmpty({ networks, unknown, damaged }: StatusReport): boolean {
  return networks.length + unknown.length + damaged.length === 0;
}

function renderReport(report: StatusReport): string {
  if (isEmpty(report)) return "nothing was started yet";
  const { networks, unknown } = report;
  const parts = networks.map(renderNetwork);
  if (unknown.length > 0) parts.push(renderUnknown(unknown));
  return parts.join("\n\n");
}

function renderUnknown(unknown: readonly UnknownMachine[]): string {
  const lines = unknown.map(({ networkId, file, component, host, state }) => {
    const network =
      file === null ? `${networkId}, not of this site's utility.yaml` : `${networkId} (${file})`;
    return `  ${machineName(component)} of ${network}: ${state} on ${host}`;
  });
  const head = "not in the state, which was lost, is an older copy, or is another site's:";
  return [head, ...lines].join("\n");
}

function renderNetwork(network: NetworkStatus): string {
  const { busy } = network;
  const lines = [`${network.appliance} (${network.file}, ${network.networkId})`];
  if (busy !== null)
    lines.push(
      `  \`cui ${busy.command}\` works on it since ${busy.since} (process ${busy.pid} on ${busy.host})`,
    );
  const head = ["component", "state", "version", "host", "addresses", "up", "status"];
  lines.push(...renderTable([head, ...network.machines.map(renderMachine)]).map((line) => `  ${line}`));
  for (const { component, pause } of network.machines)
    if (pause !== null)
      lines.push(`  ${machineName(component)} is paused: ${visible(`${pause.why}; ${pause.mend}`)}`);
  for (const { disk, host } of network.missingDataDisks)
    lines.push(`  the data disk ${disk} is not on ${host}: cui plan ${network.file} says what can be done`);
  for (const { component, host } of network.orphans)
    lines.push(`  ${machineName(component)} also runs on ${host}, where it should not`);
  return lines.join("\n");
}

function renderMachine(machine: MachineStatus): string[] {
  return [
    machine.component || "(root)",
    machine.state,
    machine.version === null ? "-" : `v${machine.version}`,
    machine.host,
    Object.values(machine.addresses).join(" ") || "-",
    machine.uptimeSeconds === null ? "-" : renderDuration(machine.uptimeSeconds),
    visible(machine.pause?.why ?? machine.status) || "-",
  ];
}

function renderDuration(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}
