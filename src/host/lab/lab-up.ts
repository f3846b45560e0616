/** Makes a lab: hypervisor hosts on one machine, joined by a VLAN trunk, that leave nothing behind. */
import { mkdir, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { CollectiveError } from "../../errors.ts";
import { acceleratorCache, findAccelerator } from "../accelerator.ts";
import { MAX_SOCKET_PATH_BYTES } from "../host-address.ts";
import { labDown } from "./lab-down.ts";
import { plugTrunk, startHostManager, startHostServices, waitForHostManager } from "./lab-host.ts";
import { LAB_FORMAT, readLabState, writeLabState, type LabHost, type LabState } from "./lab-state.ts";
import { startNamespaces, type LabLifetime, type Namespaces } from "./namespaces.ts";
import { addTrunk, startOutside } from "./outside.ts";
import { isRunning } from "./process-table.ts";

export interface LabOptions {
  /** Made by the lab and removed with it: absent, empty, or left by a lab that is down. */
  readonly directory: string;
  /** 1 to `MAX_HOSTS`. */
  readonly hosts: number;
  /** The user's cache folder: what was found out about this machine is kept there. */
  readonly cache: string;
  /** Default `process`: the lab ends when this process does, in whatever way. */
  readonly lifetime?: LabLifetime;
  /** VLAN tag of the external segment; default null, untagged. */
  readonly externalTag?: number | null;
  /** How `cui` is called again for the host managers; default this program. */
  readonly cui?: readonly string[];
}

export interface Lab extends LabState {
  /** Ends the lab and removes its folder. */
  down(): Promise<void>;
}

const BRIDGE = "br-int";
export const MAX_HOSTS = 16;
/** The longest path of a socket in a lab is 45 longer than the lab's folder. */
const MAX_DIRECTORY_LENGTH = MAX_SOCKET_PATH_BYTES - 47;

/**
 * Resolves when every host manager answers; on failure nothing is left.
 * @throws CollectiveError LAB_NEEDS_ROOT, LAB_DIRECTORY_IN_USE, LAB_DIRECTORY_TOO_LONG, LAB_FAILED, PROCESS_MISSING
 */
export async function labUp(options: LabOptions): Promise<Lab> {
  const directory = path.resolve(options.directory);
  checkDirectory(directory);
  await claimDirectory(directory);
  const lifetime = options.lifetime ?? "process";
  const namespaces = await startNamespaces({ directory, hosts: options.hosts, lifetime }).catch(
    async (error: unknown) => {
      await rm(directory, { recursive: true, force: true });
      throw error;
    },
  );
  const state = describeLab(directory, options, namespaces);
  try {
    await writeLabState(state);
    await startLab(state, options);
  } catch (error) {
    await labDown(directory);
    throw error;
  }
  return { ...state, down: () => labDown(directory) };
}

/** How `cui` is called again. */
export function thisProgram(): readonly string[] {
  return [process.execPath, process.argv[1] ?? "cui"];
}

async function startLab(state: LabState, options: LabOptions): Promise<void> {
  const cui = options.cui ?? thisProgram();
  const acceleratorFound = findAccelerator(acceleratorCache(options.cache));
  const outsideStarted = startOutside(state);
  const started = state.hosts.map(async (host, index) => {
    const services = startHostServices(host, options.cache);
    await outsideStarted;
    await addTrunk(state, index, host.init.pid);
    await services;
    await plugTrunk(host);
    await startHostManager(host, { cui, accelerator: await acceleratorFound });
    await waitForHostManager(host);
  });
  await firstFailure([...started, outsideStarted, acceleratorFound]);
}

/** Waits for all of them, so that nothing is still being started when the lab is taken down; rejects with the first error. */
async function firstFailure(steps: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(steps)).find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

function describeLab(directory: string, options: LabOptions, namespaces: Namespaces): LabState {
  return {
    format: LAB_FORMAT,
    directory,
    lifetime: options.lifetime === "until-down" ? "until-down" : "owned",
    reaper: namespaces.reaper,
    init: namespaces.init,
    hosts: namespaces.hosts.map((init, index) => describeHost(directory, index, init)),
    vlans: { from: 100, to: 199 },
    external: {
      tag: options.externalTag ?? null,
      subnet: "203.0.113.0/24",
      gateway: "203.0.113.1",
      addresses: { first: "203.0.113.10", last: "203.0.113.99" },
    },
  };
}

function describeHost(directory: string, index: number, init: LabHost["init"]): LabHost {
  const name = `host${index + 1}`;
  const folder = path.join(directory, name);
  return { name, address: `unix:${path.join(folder, "host.sock")}`, directory: folder, bridge: BRIDGE, init };
}

function checkDirectory(directory: string): void {
  if (process.getuid?.() !== 0) {
    throw new CollectiveError("LAB_NEEDS_ROOT", "a lab makes namespaces and runs libvirt, which needs root", {
      hint: "run the command as root",
    });
  }
  if (Buffer.byteLength(directory) > MAX_DIRECTORY_LENGTH) {
    throw new CollectiveError(
      "LAB_DIRECTORY_TOO_LONG",
      `the path of a lab's folder has at most ${MAX_DIRECTORY_LENGTH} bytes, because its sockets' paths are longer; got ${directory}`,
      { hint: "choose a shorter one with --dir, such as /var/lib/collective/lab" },
    );
  }
}

/** Makes the folder, or takes over what is left of a lab that is down; never a folder with anything else in it. */
async function claimDirectory(directory: string): Promise<void> {
  const state = await readLabState(directory);
  if (state !== undefined) {
    if (await isRunning(state.init)) {
      throw new CollectiveError("LAB_DIRECTORY_IN_USE", `a lab is up in ${directory}`, {
        hint: "cui lab status shows it, cui lab down ends it; --dir makes a second one elsewhere",
      });
    }
    await labDown(directory);
  }
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const [found] = await readdir(directory);
  if (found !== undefined) {
    throw new CollectiveError("LAB_DIRECTORY_IN_USE", `${directory} is not empty: it has ${found}`, {
      hint: "a lab's folder is removed with the lab, so it must be a new one",
    });
  }
}
