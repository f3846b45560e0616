/** The integration bridge. libvirt makes and removes the ports itself; here they are labelled, and the bridge is looked at. */
import { CollectiveError } from "../errors.ts";
import { run, stderrOf } from "../io.ts";

export interface BridgeDescription {
  /** Packets go through a process, not the kernel: guests must not leave checksums to the hardware. */
  readonly userspace: boolean;
}

export interface BridgeLocation {
  readonly bridge: string;
  /** Address of Open vSwitch's database as `ovs-vsctl --db` takes it; undefined: the machine's. */
  readonly switchDatabase?: string | undefined;
}

/** @throws CollectiveError HOST_BRIDGE_MISSING when Open vSwitch or the bridge is not there. */
export async function describeBridge(location: BridgeLocation): Promise<BridgeDescription> {
  try {
    const text = await vsctl(location, ["get", "bridge", location.bridge, "datapath_type"]);
    return { userspace: text.includes("netdev") };
  } catch (error) {
    if (!(error instanceof CollectiveError)) throw error;
    throw bridgeError(error, location.bridge);
  }
}

/** Puts the labels on a machine's ports: key-value pairs of their external ids. */
export async function labelPorts(
  location: BridgeLocation,
  ports: readonly string[],
  labels: Readonly<Record<string, string>>,
): Promise<void> {
  if (ports.length === 0) return;
  const pairs = Object.entries(labels).map(([key, value]) => `external_ids:${key}=${JSON.stringify(value)}`);
  await vsctl(
    location,
    ports.flatMap((port) => ["--", "set", "interface", port, ...pairs]),
  );
}

function vsctl({ switchDatabase }: BridgeLocation, args: readonly string[]): Promise<string> {
  const database = switchDatabase === undefined ? [] : [`--db=${switchDatabase}`];
  return run({ file: "ovs-vsctl", args: ["--timeout=60", ...database, ...args], timeoutMs: 90_000 });
}

function bridgeError(error: CollectiveError, bridge: string): CollectiveError {
  const stderr = stderrOf(error);
  if (error.code === "PROCESS_MISSING") {
    return new CollectiveError("HOST_BRIDGE_MISSING", "Open vSwitch is not installed on this host", {
      cause: error,
      hint: "install the package openvswitch-switch",
    });
  }
  if (/no row|no bridge/i.test(stderr)) {
    return new CollectiveError("HOST_BRIDGE_MISSING", `this host has no Open vSwitch bridge ${bridge}`, {
      cause: error,
      hint: `ovs-vsctl add-br ${bridge}, and add the trunk to the other hosts as a port`,
    });
  }
  return new CollectiveError("HOST_BRIDGE_MISSING", "Open vSwitch does not run on this host", {
    cause: error,
    hint: "start it (systemctl start openvswitch-switch)",
  });
}
