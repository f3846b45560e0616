/** `--new-data-disk w:vdb`, for `start`, `update` and `plan`. */
import type { Command } from "commander";
import { CollectiveError } from "../errors.ts";

export interface NewDataDiskFlag {
  readonly newDataDisk: ReadonlySet<string>;
}

/** May be given several times. */
export function addNewDataDiskOption(command: Command): Command {
  return command.option(
    "--new-data-disk <component:device>",
    "make a data disk that its host has lost anew, empty (w:vdb); may be repeated",
    (value: string, before: ReadonlySet<string>) => new Set([...before, parseDiskName(value)]),
    new Set<string>(),
  );
}

/** `vdb` alone is of a root that is a machine. */
function parseDiskName(value: string): string {
  const [, component = "", device = ""] =
    /^(?:([A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*)*)?:)?([a-z]+[0-9]*)$/.exec(value) ?? [];
  if (device !== "") return `${component}:${device}`;
  throw new CollectiveError(
    "USAGE",
    `--new-data-disk expects a component and a device, but it is ${JSON.stringify(value)}`,
    { hint: "cui start office.cvl --new-data-disk w:vdb" },
  );
}
