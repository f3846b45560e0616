/** What of the machine itself a test might make or break, and forget. */
import { lstatSync, readdirSync, readFileSync } from "node:fs";

/** One line for each interface, each named network namespace, and /dev/null. */
export type MachineState = readonly string[];

export function readMachine(): MachineState {
  return [
    ...readLines("/proc/self/net/dev").flatMap((line) => {
      const name = /^ *(\S+):/.exec(line)?.[1];
      return name === undefined ? [] : [`interface ${name}`];
    }),
    ...readFolder("/run/netns").map((name) => `network namespace ${name}`),
    `/dev/null ${lstatSync("/dev/null").isCharacterDevice() ? "is a device" : "is no device"}`,
  ];
}

/** What is there now and was not, and mounts in one of the run's folders; in words. Others may work on this machine too. */
export function machineChanges(before: MachineState, folders: readonly string[]): string[] {
  const mounts = readLines("/proc/self/mountinfo").map((line) => line.split(" ")[4] ?? "");
  return [
    ...readMachine().filter((line) => !before.includes(line)),
    ...mounts
      .filter((mount) => folders.some((folder) => mount.startsWith(`${folder}/`)))
      .map((mount) => `mount ${mount}`),
  ];
}

function readLines(file: string): string[] {
  return readFileSync(file, "utf8").trimEnd().split("\n");
}

function readFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
