/** A host of the lab from behind cui's back: its processes, its files, what libvirt and Open vSwitch say. */
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, readlink, rm } from "node:fs/promises";
import path from "node:path";
import { startHostManager } from "../../src/host/lab/lab-host.ts";
import type { LabHost } from "../../src/host/lab/lab-state.ts";
import { inNamespaces } from "../../src/host/lab/namespaces.ts";
import { run } from "../../src/io.ts";
import { canConnect } from "../../src/host/unix-socket.ts";

export type Service = "manager" | "libvirtd";
type ProcessKind = Service | "machine";

export interface HostSide {
  readonly lab: LabHost;
  /** The host manager's folder, as it is seen from here. */
  readonly folder: string;
  readonly isFolderAway: boolean;
  /** Whether the folder is a file system of its own. */
  readonly hasOwnFileSystem: boolean;
  useSmallFileSystem(): Promise<void>;
  exec(file: string, ...args: string[]): Promise<string>;
  virsh(...args: string[]): Promise<string>;
  /** Names of the domains that run or are paused. */
  running(): Promise<string[]>;
  pids(kind: ProcessKind): Promise<number[]>;
  /** Ends them at once. */
  kill(service: Service): Promise<void>;
  /** Starts it when it does not run. */
  ensure(service: Service): Promise<void>;
  moveFolderAway(): Promise<void>;
  /** Puts the folder back in the place of whatever is there now, which it leaves at the path it resolves to. */
  moveFolderBack(): Promise<void>;
  /** Nothing runs and nothing but images is there. */
  reset(): Promise<void>;
}

const SMALL = "size=176m";

export function createHostSide(lab: LabHost, cuiProgram: string): HostSide {
  const root = `/proc/${lab.init.pid}/root`;
  const inside = path.join(lab.directory, "collective");
  const folder = `${root}${inside}`;
  let [hasOwnFileSystem, isAway] = [false, false];
  const exec: HostSide["exec"] = (file, ...args) =>
    run(inNamespaces(lab.init.pid, { file, args, timeoutMs: 300_000 }));
  const virsh: HostSide["virsh"] = (...args) => exec("virsh", "-q", "-c", "qemu:///system", ...args);
  const pids: HostSide["pids"] = (kind) => pidsOf(lab.init.pid, kind);
  const kill = async (service: Service): Promise<void> => {
    for (const pid of await pids(service)) signal(pid, "SIGKILL");
    await until(async () => (await pids(service)).length === 0);
  };
  const ensure = async (service: Service): Promise<void> => {
    for (const pid of await pids(service)) signal(pid, "SIGCONT");
    if ((await pids(service)).length > 0) return;
    if (service === "libvirtd") {
      await exec("libvirtd", "--daemon");
      await exec("virsh", "-c", "qemu:///system", "list");
      return;
    }
    await startHostManager(lab, { cui: [process.execPath, cuiProgram], accelerator: "tcg" });
    await until(() => canConnect(lab.address.slice("unix:".length)));
  };
  const move = async (from: string, to: string): Promise<void> => {
    await exec("mkdir", "-p", to);
    await (hasOwnFileSystem ? exec("mount", "--move", from, to) : exec("mv", "-T", from, to));
  };
  const side: HostSide = {
    lab,
    folder,
    get hasOwnFileSystem() {
      return hasOwnFileSystem;
    },
    useSmallFileSystem: async () => {
      await kill("manager");
      await exec("mount", "--make-rprivate", "/");
      await exec("mount", "-t", "tmpfs", "-o", SMALL, "collective-small", inside);
      hasOwnFileSystem = true;
      await ensure("manager");
    },
    exec,
    virsh,
    running: async () => (await virsh("list", "--name").catch(() => "")).split("\n").filter(Boolean),
    pids,
    kill,
    ensure,
    get isFolderAway() {
      return isAway;
    },
    moveFolderAway: async () => {
      await move(inside, `${inside}.aside`);
      isAway = true;
    },
    moveFolderBack: async () => {
      if (!isAway) return;
      if (hasOwnFileSystem) {
        if (existsSync(inside)) await exec("mv", "-T", inside, `${inside}.made${Date.now()}`);
        await exec("mkdir", "-p", inside);
      } else if (existsSync(folder)) await exec("mv", "-T", inside, `${inside}.made${Date.now()}`);
      await move(`${inside}.aside`, inside);
      if (hasOwnFileSystem) await exec("rmdir", `${inside}.aside`);
      isAway = false;
    },
    reset: async () => {
      for (const pid of await pids("manager")) signal(pid, "SIGCONT");
      await ensure("libvirtd");
      await side.moveFolderBack();
      await exec("sh", "-c", REMOVE_DOMAINS);
      for (const name of ["networks", "attic", "filler", "aside"])
        await rm(path.join(folder, name), { recursive: true, force: true });
      for (const name of await readdir(path.dirname(folder)))
        if (name.startsWith("collective."))
          await rm(path.join(path.dirname(folder), name), { recursive: true });
      await mkdir(folder, { recursive: true });
      await ensure("manager");
    },
  };
  return side;
}

const REMOVE_DOMAINS = `virsh -q -c qemu:///system list --all --name | while read -r name; do
  [ -n "$name" ] || continue
  virsh -q -c qemu:///system destroy "$name" >/dev/null 2>&1
  virsh -q -c qemu:///system undefine --nvram "$name" >/dev/null
done`;

async function pidsOf(init: number, kind: ProcessKind): Promise<number[]> {
  const namespace = await readlink(`/proc/${init}/ns/pid`);
  const found: number[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const own = await readlink(`/proc/${pid}/ns/pid`).catch(() => "");
    if (own !== namespace) continue;
    const words = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
    const program = path.basename(words[0] ?? "");
    const isMeant = {
      libvirtd: program === "libvirtd",
      manager: words.slice(2, 4).join(" ") === "host serve",
      machine: program.startsWith("qemu-system-"),
    }[kind];
    if (isMeant) found.push(Number(pid));
  }
  return found;
}

export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

export async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 120_000; !(await holds());) {
    if (Date.now() > deadline) throw new Error("what was waited for did not come in two minutes");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
