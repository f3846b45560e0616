/** What of the machine itself a test might change and forget. */
import { lstatSync, readdirSync, readFileSync } from "node:fs";

/** One line for each mount, interface and named network namespace, and for /dev/null. */
export type MachineState = readonly string[];

export function readMachine(): MachineState {
  return [
    ...readLines("/proc/self/mountinfo").map((line) => `mount ${line.split(" ").slice(3, 5).join(" on ")}`),
    ...readLines("/proc/self/net/dev")
      .flatMap((line) => /^ *(\S+):/.exec(line)?.[1] ?? [])
      .map((name) => `interface ${name}`),
    ...readFolder("/run/netns").map((name) => `network namespace ${name}`),
    `/dev/null ${lstatSync("/dev/null").isCharacterDevice() ? "is a device" : "is no device"}`,
  ];
}

/** What is there now and was not, or the other way round, in words. */
export function machineChanges(before: MachineState, after: MachineState): string[] {
  return [
    ...after.filter((line) => !before.includes(line)),
    ...before.filter((line) => !after.includes(line)).map((line) => `gone: ${line}`),
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
