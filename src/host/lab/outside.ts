/**
 * What lies outside the hosts of a lab: the switch that joins their trunks, and the external segment with one address on
 * it, as the provider's router would have. `cui lab exec outside` runs programs here.
 */
import { mkdir, realpath, writeFile } from "node:fs/promises";
import path from "node:path";
import { run } from "../../io.ts";
import type { LabState } from "./lab-state.ts";
import { inside, startOpenVSwitch, vsctl } from "./open-vswitch-process.ts";
import { makePrivateRun, prepareNetworkNamespace } from "./private-mounts.ts";

const SWITCH = "br-lab";
/** The switch's own port on the external segment; a tap, so that the kernel computes checksums itself. */
const EXTERNAL_PORT = "external";

/** Starts the switch and gives it the external address; the hosts' trunks are added by `addTrunk`. */
export async function startOutside(state: LabState): Promise<void> {
  const { pid } = state.init;
  const directory = path.join(state.directory, "outside");
  await mkdir(directory);
  await writeFile(path.join(directory, "resolv.conf"), "");
  await prepareNetworkNamespace(pid);
  await makePrivateRun(pid, ["openvswitch"]);
  await replaceResolvConf(pid, path.join(directory, "resolv.conf"));
  await startOpenVSwitch(pid, directory);
  await vsctl(pid, [
    ...["add-br", SWITCH, "--", "set", "bridge", SWITCH, "datapath_type=netdev"],
    // Tag 0 makes an access port for untagged frames: it takes and gives no frame with another tag.
    ...["--", "add-port", SWITCH, EXTERNAL_PORT, `tag=${state.external.tag ?? 0}`],
    ...["--", "set", "interface", EXTERNAL_PORT, "type=internal"],
  ]);
  const prefix = state.external.subnet.split("/")[1] ?? "24";
  await inside(pid, "ip", ["address", "add", `${state.external.gateway}/${prefix}`, "dev", EXTERNAL_PORT]);
  await inside(pid, "ip", ["link", "set", EXTERNAL_PORT, "up"]);
}

/** Names are looked up where `file` says and nowhere else; it is empty until someone writes to it. */
async function replaceResolvConf(pid: number, file: string): Promise<void> {
  const target = await realpath("/etc/resolv.conf").catch(() => undefined);
  if (target === undefined) return;
  if (target.startsWith("/run/")) await inside(pid, "install", ["-D", "/dev/null", target]);
  await inside(pid, "mount", ["--bind", file, target]);
}

/** A cable from the switch to host number `index`, which gets it as `trunk`: all tags, both ways. */
export async function addTrunk(state: LabState, index: number, hostPid: number): Promise<void> {
  const { pid } = state.init;
  const name = `host${index + 1}`;
  const link = ["link", "add", name, "up", "type", "veth", "peer", "name", "trunk", "netns", String(hostPid)];
  // Only the network namespace is entered: `netns` takes the pid as it is seen from here.
  await run({ file: "nsenter", args: [`--target=${pid}`, "--net", "--", "ip", ...link] });
  await vsctl(pid, ["add-port", SWITCH, name]);
}
