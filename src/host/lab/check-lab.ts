/** Which parts of a lab that is up do not answer: each is asked what it is there for. */
import { CollectiveError } from "../../errors.ts";
import { run } from "../../io.ts";
import { connectHost } from "../connect-host.ts";
import type { LabHost, LabState } from "./lab-state.ts";
import { inNamespaces } from "./namespaces.ts";

export type LabPart = "host manager" | "libvirtd" | "ovsdb-server" | "ovs-vswitchd";

export interface LabProblem {
  /** `host1`, or `outside`. */
  readonly place: string;
  readonly part: LabPart;
  /** What it said, or that it says nothing. */
  readonly detail: string;
}

/** Each answers sooner by far. */
const ANSWER_MS = 3000;

/** In the order in which they must be started again. */
export async function checkLab(state: LabState): Promise<readonly LabProblem[]> {
  const asked = await Promise.all([
    ...questionsOf("outside", state.init.pid, undefined),
    ...state.hosts.flatMap((host) => questionsOf(host.name, host.init.pid, host)),
  ]);
  return asked.flat();
}

function questionsOf(place: string, pid: number, host: LabHost | undefined): Promise<LabProblem[]>[] {
  const ask = (part: LabPart, file: string, args: readonly string[]): Promise<LabProblem[]> =>
    problemOf({ place, part }, run(inNamespaces(pid, { file, args, timeoutMs: ANSWER_MS })));
  const seconds = `--timeout=${ANSWER_MS / 1000}`;
  return [
    ask("ovsdb-server", "ovs-vsctl", [seconds, "--no-wait", "list-br"]),
    ask("ovs-vswitchd", "ovs-appctl", [seconds, "-t", "ovs-vswitchd", "version"]),
    ...(host === undefined
      ? []
      : [
          ask("libvirtd", "virsh", ["--quiet", "-c", "qemu:///system", "version"]),
          problemOf({ place, part: "host manager" }, sayHello(host.address)),
        ]),
  ];
}

async function sayHello(address: string): Promise<void> {
  const host = await connectHost(address, { timeoutMs: ANSWER_MS });
  await host.close();
}

async function problemOf(
  where: Pick<LabProblem, "place" | "part">,
  answer: Promise<unknown>,
): Promise<LabProblem[]> {
  try {
    await answer;
    return [];
  } catch (error) {
    if (!(error instanceof CollectiveError)) throw error;
    return [{ ...where, detail: error.message.split("\n")[0] ?? "" }];
  }
}
