/**
 * An export of a disk that a running machine has open: a backup job of libvirt in pull mode. The guest writes into its disk as ever; before
 * it overwrites something, QEMU copies that into a scratch file, and an NBD server shows the disk as of the beginning. So the disk is
 * whole at any moment, and scratch and job can be dropped at any moment.
 * @see https://libvirt.org/formatbackup.html
 */
import { chown, mkdir, readdir, rm } from "node:fs/promises";
import { createConnection, type Socket } from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import XMLBuilder from "fast-xml-builder";
import { openNbd } from "../../disk/nbd/nbd-client.ts";
import { CollectiveError } from "../../errors.ts";
import { stderrOf, writeFileAtomically } from "../../io.ts";
import type { MachineId } from "../host.ts";
import type { Libvirt } from "../libvirt.ts";
import { machinePaths, type HostFolders } from "../machine-paths.ts";
import { readMachines } from "../machines.ts";
import { domainName } from "../names.ts";
import { busy, type ExportedDisk } from "./exports.ts";
import { exportFailed } from "./file-export.ts";

export interface RunningDisk {
  readonly id: MachineId;
  readonly device: string;
  /** Of the disk in the domain, `vdb`. */
  readonly target: string;
}

export interface RunningExportParts {
  readonly folders: HostFolders;
  readonly libvirt: Libvirt;
}

const EXPORT_NAME = "disk";
const ENDING_JOB_MS = 90_000;
const ENDING_JOB_POLL_MS = 250;
const SCRATCH_FILE = /^scratch-[a-z0-9_]+\.qcow2$/;

/** @throws CollectiveError HOST_EXPORT_BUSY, HOST_EXPORT_FAILED */
export async function openRunning(parts: RunningExportParts, disk: RunningDisk): Promise<ExportedDisk> {
  const { libvirt } = parts;
  const name = domainName(disk.id);
  const paths = machinePaths(parts.folders, disk.id);
  const folder = socketFolder(parts, disk.id);
  const socket = path.join(folder, "nbd");
  const scratch = path.join(paths.folder, `scratch-${disk.target}.qcow2`);
  const description = path.join(paths.runFolder, "backup.xml");
  await awaitNoBackup(parts, disk.id);
  await makeSocketFolder(folder, libvirt);
  const close = async (): Promise<void> => {
    await libvirt.endBackup(name);
    await Promise.all([scratch, description].map((file) => rm(file, { force: true })));
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await writeFileAtomically(
      description,
      renderBackup(await allTargets(libvirt, name), disk, { socket, scratch }),
    );
    await libvirt.beginBackup(name, description);
    const client = await openNbd(await connect(socket), EXPORT_NAME);
    return {
      client,
      close: async () => {
        client.close();
        await close();
      },
    };
  } catch (error) {
    await close().catch(() => undefined);
    throw asExportError(error, paths.dataDisk(disk.device));
  }
}

const SWEEP_PERIOD_MS = 10_000;

/**
 * Ends what a host manager that was killed has left: jobs of ours, and their scratch. Nobody else's job is touched. Tries again while
 * libvirt does not answer; what it resolves to ends that.
 */
export async function sweepLeftoverExports(parts: RunningExportParts): Promise<() => void> {
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  const sweep = async (): Promise<void> => {
    try {
      for (const { labels } of await readMachines(parts.libvirt)) await endLeftover(parts, labels);
    } catch {
      if (!isOver) timer = setTimeout(() => void sweep(), SWEEP_PERIOD_MS).unref();
    }
  };
  await sweep();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

async function endLeftover({ folders, libvirt }: RunningExportParts, id: MachineId): Promise<void> {
  const { folder } = machinePaths(folders, id);
  const scratches = (await readdir(folder).catch(() => [])).filter((name) => SCRATCH_FILE.test(name));
  if (scratches.length === 0) return;
  const job = await libvirt.readBackup(domainName(id));
  if (scratches.some((name) => job?.includes(path.join(folder, name)) === true))
    await libvirt.endBackup(domainName(id));
  for (const name of scratches) await rm(path.join(folder, name), { force: true });
}

/**
 * A job of ours that was told to end can be there for half a minute more: libvirt 9 waits that long, for all its machines, where QEMU
 * speaks of a job while `backup-begin` still runs. So we wait for ours, and for nobody else's.
 */
async function awaitNoBackup(parts: RunningExportParts, id: MachineId): Promise<void> {
  await endLeftover(parts, id);
  const name = domainName(id);
  const until = Date.now() + ENDING_JOB_MS;
  let job = await parts.libvirt.readBackup(name);
  while (job?.includes(socketFolder(parts, id)) === true && Date.now() < until) {
    await sleep(ENDING_JOB_POLL_MS);
    job = await parts.libvirt.readBackup(name);
  }
  if (job !== undefined) throw busy(`a backup job goes on for ${name}, and libvirt runs one at a time`);
}

function socketFolder({ folders }: RunningExportParts, id: MachineId): string {
  return path.join(machinePaths(folders, id).runFolder, "export");
}

/** QEMU, which may run as another user, makes its socket there. */
async function makeSocketFolder(folder: string, libvirt: Libvirt): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { mode: 0o700 });
  const user = await libvirt.qemuUser();
  if (user !== undefined) await chown(folder, user.uid, user.gid);
}

async function allTargets(libvirt: Libvirt, name: string): Promise<string[]> {
  return [...(await libvirt.diskTargets(name)).values()];
}

function renderBackup(
  targets: readonly string[],
  { target }: RunningDisk,
  { socket, scratch }: { readonly socket: string; readonly scratch: string },
): string {
  const others = targets.filter((other) => other !== target);
  const domainbackup = {
    "@mode": "pull",
    server: { "@transport": "unix", "@socket": socket },
    disks: {
      disk: [
        ...others.map((name) => ({ "@name": name, "@backup": "no" })),
        {
          "@name": target,
          "@backup": "yes",
          "@type": "file",
          "@exportname": EXPORT_NAME,
          scratch: { "@file": scratch },
        },
      ],
    },
  };
  const options = { ignoreAttributes: false, attributeNamePrefix: "@", suppressEmptyNode: true };
  return new XMLBuilder(options).build({ domainbackup });
}

function connect(socketPath: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(socketPath);
    socket.once("connect", () => {
      resolve(socket);
    });
    socket.once("error", reject);
  });
}

function asExportError(error: unknown, file: string): unknown {
  if (!(error instanceof CollectiveError)) return error;
  const text = stderrOf(error);
  if (/another job|already.*backup|backup.*already/i.test(text)) return busy(`libvirt is busy with ${file}`);
  return error.code === "PROCESS_FAILED" || error.code === "DISK_NBD_FAILED"
    ? exportFailed(file, error)
    : error;
}
