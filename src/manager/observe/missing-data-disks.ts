/** Data disks that the state knows and no host has: an unmounted folder, a moved file, a host that was made anew. */
import { CollectiveError } from "../../errors.ts";
import { machineName } from "../../network/paths.ts";
import { diskName } from "../../plan/data-disk-changes.ts";
import type { MissingDataDisk } from "../../plan/plan.ts";
import type { ObservedHosts } from "./observe-hosts.ts";
import type { ObservedNetwork } from "./observe-network.ts";

/** By the name facts give them, `w:vdb`. A host that does not answer may have its disks: none of them is missing. */
export function missingDataDisks(
  networkId: string,
  { machines }: ObservedNetwork,
  { reached, missed }: ObservedHosts,
): ReadonlyMap<string, MissingDataDisk> {
  const found = [...reached].flatMap(([host, { inventory }]) =>
    inventory.dataDisks
      .filter((disk) => disk.id.networkId === networkId)
      .map((disk) => ({ host, name: diskName(disk.id.component, disk.device), inAttic: disk.inAttic })),
  );
  const present = new Set(found.flatMap(({ name, inAttic }) => (inAttic ? [] : [name])));
  const inAttic = new Map(found.flatMap(({ name, host, inAttic }) => (inAttic ? [[name, host]] : [])));
  const missing = new Map<string, MissingDataDisk>();
  for (const { component, record } of machines.values()) {
    if (missed.has(record.host)) continue;
    for (const { device } of record.current?.description.dataDisks ?? []) {
      const name = diskName(component, device);
      if (present.has(name)) continue;
      const attic = inAttic.get(name);
      // A removal that was interrupted has put it there; the next one goes on.
      if (record.phase === "stopping" && attic === record.host) continue;
      missing.set(name, {
        host: record.host,
        isHostKnown: reached.has(record.host),
        ...(attic === undefined ? {} : { attic }),
      });
    }
  }
  return missing;
}

/**
 * What `--new-data-disk` or `--lost-data-disk` names must be missing: a disk that is there is never put aside by a wrong name.
 * @throws CollectiveError UTILITY_DATA_DISK_UNKNOWN, UTILITY_DATA_DISK_PRESENT
 */
export function requireMissing(
  asked: ReadonlySet<string> = new Set(),
  disks: {
    readonly missing: ReadonlyMap<string, unknown>;
    /** All that the network has or is to have. */
    readonly known: Iterable<string>;
    readonly option: string;
  },
): ReadonlySet<string> {
  const { missing, option } = disks;
  const known = new Set(disks.known);
  const names = [...missing.keys()];
  for (const disk of asked) {
    if (missing.has(disk)) continue;
    if (!known.has(disk)) throw unknownDisk(disk, { known: [...known], missing: names });
    const list = names.length === 0 ? "; none is missing" : `: ${names.join(", ")}`;
    throw new CollectiveError("UTILITY_DATA_DISK_PRESENT", `the data disk ${disk} is not missing`, {
      data: { disk, missing: names },
      hint: `${option} is for a data disk that its host has lost${list}`,
    });
  }
  return asked;
}

/** Says what its machine has; of a machine without data disks, what there is at all. */
function unknownDisk(
  disk: string,
  { known, missing }: { readonly known: readonly string[]; readonly missing: readonly string[] },
): CollectiveError {
  const at = disk.lastIndexOf(":");
  const [component, device] = [disk.slice(0, at), disk.slice(at + 1)];
  const own = known.filter((name) => name.slice(0, name.lastIndexOf(":")) === component);
  const has = own.length === 0 ? "it has none" : `it has ${own.map((name) => name.slice(at + 1)).join(", ")}`;
  const all =
    known.length === 0 ? "the network has no data disk" : `there are ${known.slice(0, 20).join(", ")}`;
  return new CollectiveError(
    "UTILITY_DATA_DISK_UNKNOWN",
    `${machineName(component)} has no data disk ${device}; ${has}`,
    {
      data: { disk, known, missing },
      hint: missing.length === 0 ? `${all}; none is missing` : `missing: ${missing.join(", ")}`,
    },
  );
}
