/** `--new-data-disk w:vdb`, for `start`, `update` and `plan`; `--lost-data-disk w:vdb` for `remove`. */
import type { Command } from "commander";
import { CollectiveError } from "../errors.ts";

export interface NewDataDiskFlag {
  readonly newDataDisk?: ReadonlySet<string>;
}

export interface LostDataDiskFlag {
  readonly lostDataDisk?: ReadonlySet<string>;
}

/** May be given several times. */
export function addNewDataDiskOption(command: Command): Command {
  return command.option(
    "--new-data-disk <component:device>",
    "make a data disk that its host has lost anew, empty (w:vdb); may be repeated",
    collect("--new-data-disk", "cui start office.cvl --new-data-disk w:vdb"),
  );
}

/** May be given several times. */
export function addLostDataDiskOption(command: Command): Command {
  return command.option(
    "--lost-data-disk <component:device>",
    "go on without a data disk that its host has lost for good (w:vdb); may be repeated",
    collect("--lost-data-disk", "cui remove office.cvl --lost-data-disk w:vdb"),
  );
}

type Collect = (value: string, before?: ReadonlySet<string>) => ReadonlySet<string>;

function collect(option: string, example: string): Collect {
  return (value, before = new Set()) => new Set([...before, parseDiskName(value, { option, example })]);
}

/** `vdb` alone is of a root that is a machine, as are `.:vdb` and `:vdb`. */
function parseDiskName(value: string, { option, example }: { option: string; example: string }): string {
  const [, component = "", device = ""] =
    /^(?:(?:([A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*)*)|\.)?:)?([a-z]+[0-9]*)$/.exec(value) ?? [];
  if (device !== "") return `${component}:${device}`;
  throw new CollectiveError(
    "USAGE",
    `${option} expects a component and a device, but it is ${JSON.stringify(value)}`,
    { hint: example },
  );
}
