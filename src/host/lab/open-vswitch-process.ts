/** Open vSwitch with its userspace datapath, run by hand inside a lab's namespaces: no systemd, no kernel module. */
import path from "node:path";
import { run } from "../../io.ts";
import { inNamespaces } from "./namespaces.ts";

const SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema";

const DATABASE = "conf.db";
const DAEMON = ["--pidfile", "--detach", "--no-chdir", "-vconsole:off"];

/** Starts both daemons in the namespaces of `pid`; `/run/openvswitch` must be there and private. */
export async function startOpenVSwitch(pid: number, directory: string): Promise<void> {
  await inside(pid, "ovsdb-tool", ["create", path.join(directory, DATABASE), SCHEMA]);
  await startDatabase(pid, directory);
  await inside(pid, "ovs-vsctl", ["--no-wait", "init"]);
  await startSwitchDaemon(pid, directory);
}

/** The database server on the database that is there. */
export async function startDatabase(pid: number, directory: string): Promise<void> {
  await inside(pid, "ovsdb-server", [
    path.join(directory, DATABASE),
    "--remote=punix:/run/openvswitch/db.sock",
    `--log-file=${path.join(directory, "ovsdb-server.log")}`,
    ...DAEMON,
  ]);
}

/** The switch, with the bridges and ports of the database. */
export async function startSwitchDaemon(pid: number, directory: string): Promise<void> {
  await inside(pid, "ovs-vswitchd", [`--log-file=${path.join(directory, "ovs-vswitchd.log")}`, ...DAEMON]);
}

/** `ovs-vsctl` in the namespaces of `pid`. */
export async function vsctl(pid: number, args: readonly string[]): Promise<void> {
  await inside(pid, "ovs-vsctl", ["--timeout=100", ...args]);
}

/** Runs a program in the namespaces of `pid`. */
export function inside(pid: number, file: string, args: readonly string[]): Promise<string> {
  return run(inNamespaces(pid, { file, args, timeoutMs: 600_000 }));
}
