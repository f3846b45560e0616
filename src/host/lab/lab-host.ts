/** One hypervisor host of a lab: its own libvirtd, Open vSwitch and host manager in its own namespaces. */
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { CollectiveError } from "../../errors.ts";
import { startBackground } from "../../io.ts";
import { canConnect } from "../unix-socket.ts";
import { hostDataFolder, type LabHost } from "./lab-state.ts";
import { inNamespaces } from "./namespaces.ts";
import { capabilitiesCache, keepCapabilities, lendCapabilities } from "./qemu-capabilities.ts";
import { inside, startOpenVSwitch, vsctl } from "./open-vswitch-process.ts";
import { childrenOf } from "./process-table.ts";
import { bindPrivate, makePrivateRun, makePrivateSys, prepareNetworkNamespace } from "./private-mounts.ts";

/** `directory/<name>` of a host, and the folder of the machine it stands for. */
const SERVICE_FOLDERS = {
  "etc-libvirt": "/etc/libvirt",
  "lib-libvirt": "/var/lib/libvirt",
  "cache-libvirt": "/var/cache/libvirt",
  "log-libvirt": "/var/log/libvirt",
};

/** There is no virtlogd, no control group and no security module in a lab; its QEMU runs as root. */
const QEMU_CONF = `stdio_handler = "file"
security_driver = "none"
user = "root"
group = "root"
cgroup_controllers = []
namespaces = []
dynamic_ownership = 0
remember_owner = 0
`;

/** One that has ended is noticed sooner. */
const HOST_MANAGER_TIMEOUT_MS = 300_000;

const LIBVIRTD_CONF = `auth_unix_rw = "none"
unix_sock_group = "root"
unix_sock_rw_perms = "0700"
`;

/** As in the unit of docs/operations.md. */
const GIVE_MEMORY_BACK = { MALLOC_MMAP_THRESHOLD_: "131072", MALLOC_TRIM_THRESHOLD_: "131072" };

/** Hidden, because libvirt would take as long again to probe it. */
const QEMU_FOR_OTHER_MACHINES = "/usr/bin/qemu-system-i386";

/** Mounts, loopback, Open vSwitch with the integration bridge and its trunk, libvirtd; `cache` is the user's folder. The trunk's cable comes from `addTrunk`. */
export async function startHostServices(host: LabHost, cache: string): Promise<void> {
  const { pid } = host.init;
  await mkdir(host.directory, { recursive: true });
  await prepareNetworkNamespace(pid);
  await makePrivateRun(pid, ["openvswitch", "libvirt", "collective"]);
  await makePrivateSys(pid);
  await bindPrivate(pid, host.directory, SERVICE_FOLDERS);
  await Promise.all([startSwitch(host), startLibvirt(host, cache)]);
}

/** Starts the host manager as a child of the host's init; `cui` is how this program is called again. */
export async function startHostManager(
  host: LabHost,
  options: { readonly cui: readonly string[]; readonly accelerator: "kvm" | "tcg" },
): Promise<void> {
  const [file = "cui", ...args] = options.cui;
  const serve = [
    ...["host", "serve", "--name", host.name, "--bridge", host.bridge, "--accelerator", options.accelerator],
    ...["--socket", host.address.slice("unix:".length)],
    ...["--directory", hostDataFolder(host), "--run-directory", path.join(host.directory, "run")],
  ];
  const command = inNamespaces(host.init.pid, { file: "setsid", args: ["--fork", file, ...args, ...serve] });
  const logFile = path.join(host.directory, "host.log");
  const starter = await startBackground({
    ...command,
    cwd: "/",
    env: GIVE_MEMORY_BACK,
    logFile,
    stdin: "ignore",
  });
  await starter.ended;
}

export async function startLibvirtd(pid: number): Promise<void> {
  await inside(pid, "libvirtd", ["--daemon"]);
}

/** Resolves when it listens. @throws CollectiveError LAB_FAILED with what it said */
export async function waitForHostManager(host: LabHost): Promise<void> {
  const socket = host.address.slice("unix:".length);
  for (const deadline = Date.now() + HOST_MANAGER_TIMEOUT_MS; Date.now() < deadline;) {
    if (await canConnect(socket)) return;
    if (!(await isStarting(host.init.pid, socket))) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const log = await readFile(path.join(host.directory, "host.log"), "utf8").catch(() => "");
  throw new CollectiveError(
    "LAB_FAILED",
    `the host manager of ${host.name} did not start: ${log.trim().slice(-500) || "it said nothing"}`,
  );
}

/** A process that is between two programs, in exec(2), has no arguments for a moment: it may be the host manager to be. */
async function isStarting(initPid: number, socket: string): Promise<boolean> {
  return (await childrenOf(initPid)).some(({ args }) => args.length === 0 || args.includes(socket));
}

async function startSwitch(host: LabHost): Promise<void> {
  const { pid } = host.init;
  const directory = path.join(host.directory, "openvswitch");
  await mkdir(directory, { recursive: true });
  await startOpenVSwitch(pid, directory);
  await vsctl(pid, ["add-br", host.bridge, "--", "set", "bridge", host.bridge, "datapath_type=netdev"]);
}

/** Plugs the trunk cable into the integration bridge: a port without a tag carries all of them. */
export async function plugTrunk(host: LabHost): Promise<void> {
  await inside(host.init.pid, "ip", ["link", "set", "trunk", "up"]);
  await vsctl(host.init.pid, ["add-port", host.bridge, "trunk"]);
}

async function startLibvirt(host: LabHost, cache: string): Promise<void> {
  const { pid } = host.init;
  const etc = path.join(host.directory, "etc-libvirt");
  await writeFile(path.join(etc, "qemu.conf"), QEMU_CONF);
  await writeFile(path.join(etc, "libvirtd.conf"), LIBVIRTD_CONF);
  if (existsSync(QEMU_FOR_OTHER_MACHINES)) {
    await inside(pid, "mount", ["--bind", "/dev/null", QEMU_FOR_OTHER_MACHINES]);
  }
  const libvirtCache = path.join(host.directory, "cache-libvirt");
  await lendCapabilities(capabilitiesCache(cache), libvirtCache);
  await startLibvirtd(pid);
  await inside(pid, "virsh", ["-c", "qemu:///system", "capabilities"]); // it asks QEMU now, unless that is known
  await keepCapabilities(capabilitiesCache(cache), libvirtCache);
}
