/** Open vSwitch with its userspace datapath, run by hand inside a lab's namespaces: no systemd, no kernel module. */
import path from "node:path";
import { run } from "../../io.ts";
import { inNamespaces } from "./namespaces.ts";

const SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema";

/** Starts both daemons in the namespaces of `pid`; `/run/openvswitch` must be there and private. */
export async function startOpenVSwitch(pid: number, directory: string): Promise<void> {
  const database = path.join(directory, "conf.db");
  await inside(pid, "ovsdb-tool", ["create", database, SCHEMA]);
  const daemon = ["--pidfile", "--detach", "--no-chdir", "-vconsole:off"];
  await inside(pid, "ovsdb-server", [
    database,
    "--remote=punix:/run/openvswitch/db.sock",
    `--log-file=${path.join(directory, "ovsdb-server.log")}`,
    ...daemon,
  ]);
  await inside(pid, "ovs-vsctl", ["--no-wait", "init"]);
  await inside(pid, "ovs-vswitchd", [`--log-file=${path.join(directory, "ovs-vswitchd.log")}`, ...daemon]);
}

/** `ovs-vsctl` in the namespaces of `pid`. */
export async function vsctl(pid: number, args: readonly string[]): Promise<void> {
  await inside(pid, "ovs-vsctl", ["--timeout=100", ...args]);
}

/** Runs a program in the namespaces of `pid`. */
export function inside(pid: number, file: string, args: readonly string[]): Promise<string> {
  return run(inNamespaces(pid, { file, args, timeoutMs: 600_000 }));
}
