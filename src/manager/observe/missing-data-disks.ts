/** Data disks that the state knows and no host has: an unmounted folder, a moved file, a host that was made anew. */
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
