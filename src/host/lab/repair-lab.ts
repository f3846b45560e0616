/** Starts the parts of a lab again that do not answer. What they served goes on: machines, bridges, disks. */
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CollectiveError } from "../../errors.ts";
import { checkLab, type LabPart, type LabProblem } from "./check-lab.ts";
import { startHostManager, startLibvirtd, waitForHostManager } from "./lab-host.ts";
import type { LabHost, LabState } from "./lab-state.ts";
import { startDatabase, startSwitchDaemon } from "./open-vswitch-process.ts";
import { childrenOf, type ProcessEntry } from "./process-table.ts";

/** How `cui` is called again, and with which accelerator. */
type HostManagerOptions = Parameters<typeof startHostManager>[1];

/** Parts are started after what they need. */
const ORDER: readonly LabPart[] = ["ovsdb-server", "ovs-vswitchd", "libvirtd", "host manager"];

/** Each answers within seconds on a quiet machine. */
const ANSWER_MS = 300_000;

/** Resolves to what was started again, when all of it answers. @throws CollectiveError LAB_FAILED, PROCESS_FAILED */
export async function repairLab(
  state: LabState,
  options: HostManagerOptions,
): Promise<readonly LabProblem[]> {
  const problems = [...(await checkLab(state))].sort((a, b) => ORDER.indexOf(a.part) - ORDER.indexOf(b.part));
  for (const problem of problems) {
    const host = state.hosts.find(({ name }) => name === problem.place);
    await endHanging(host?.init.pid ?? state.init.pid, problem.part, host);
    await startPart(state, { part: problem.part, host, options });
  }
  if (problems.length > 0) await untilAllAnswer(state);
  return problems;
}

/** A daemon that is there may take a while until it answers: libvirtd looks at its machines and at QEMU first. */
async function untilAllAnswer(state: LabState): Promise<void> {
  for (const deadline = Date.now() + ANSWER_MS; ;) {
    const silent = await checkLab(state);
    if (silent.length === 0) return;
    if (Date.now() >= deadline) throw stillSilent(silent);
    await sleep(100);
  }
}

function stillSilent(silent: readonly LabProblem[]): CollectiveError {
  const list = silent.map(({ place, part, detail }) => `${part} of ${place}: ${detail}`);
  return new CollectiveError("LAB_FAILED", `started again, and still without an answer: ${list.join("; ")}`);
}

async function startPart(
  state: LabState,
  { part, host, options }: { part: LabPart; host: LabHost | undefined; options: HostManagerOptions },
): Promise<void> {
  const pid = host?.init.pid ?? state.init.pid;
  const directory =
    host === undefined ? path.join(state.directory, "outside") : path.join(host.directory, "openvswitch");
  if (part === "ovsdb-server") await startDatabase(pid, directory);
  if (part === "ovs-vswitchd") await startSwitchDaemon(pid, directory);
  if (host === undefined) return;
  if (part === "libvirtd") await startLibvirtd(pid);
  if (part !== "host manager") return;
  await startHostManager(host, options);
  await waitForHostManager(host);
}

/** One that is there and does not answer would be in the way of the next. */
async function endHanging(initPid: number, part: LabPart, host: LabHost | undefined): Promise<void> {
  const socket = host?.address.slice("unix:".length) ?? "";
  const isPart = ({ args: [program = "", ...args] }: ProcessEntry): boolean =>
    part === "host manager"
      ? args.includes("serve") && args.includes(socket)
      : path.basename(program).replace(/:$/, "") === part;
  for (const { pid } of (await childrenOf(initPid)).filter(isPart)) process.kill(pid, "SIGKILL");
}
