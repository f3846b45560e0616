/** The folders of a host in which disks lie: one for each machine, and in the attic one for each time something was moved there. */
import path from "node:path";
import { namesIn } from "../folder-names.ts";
import type { MachineId } from "./host.ts";
import { deviceOfDataDisk, type HostFolders } from "./machine-paths.ts";
import { machineOfFolder } from "./names.ts";

type Place = Pick<HostFolders, "directory">;

export interface DiskFolder {
  readonly machine: MachineId;
  readonly folder: string;
}

/** Of all networks, or of one. */
export async function* machineFolders({ directory }: Place, only?: string): AsyncGenerator<DiskFolder, void> {
  const networks = path.join(directory, "networks");
  for (const networkId of only === undefined ? await namesIn(networks) : [only]) {
    const machines = path.join(networks, networkId, "machines");
    for (const name of await namesIn(machines)) {
      const machine = machineOfFolder(networkId, name);
      if (machine !== undefined) yield { machine, folder: path.join(machines, name) };
    }
  }
}

export async function* atticFolders({ directory }: Place): AsyncGenerator<DiskFolder, void> {
  const attic = path.join(directory, "attic");
  for (const networkId of await namesIn(attic)) {
    for (const name of await namesIn(path.join(attic, networkId))) {
      const machine = machineOfFolder(networkId, name);
      if (machine === undefined) continue;
      for (const time of await namesIn(path.join(attic, networkId, name)))
        yield { machine, folder: path.join(attic, networkId, name, time) };
    }
  }
}

/** Of the data disks in a machine's folder or one of the attic's. */
export async function devicesIn(folder: string): Promise<string[]> {
  return (await namesIn(folder)).flatMap((name) => deviceOfDataDisk(name) ?? []);
}
