/** Data disks that lie on more than one host: a copy made by hand, a host that was restored. Nobody can tell which one is current. */
import type { ComponentPath } from "../../cvl/tree.ts";
import { diskName } from "../../plan/data-disk-changes.ts";
import type { AmbiguousDataDisk } from "../../plan/plan.ts";
import type { ObservedHosts } from "./observe-hosts.ts";
import type { ObservedNetwork } from "./observe-network.ts";

interface Found {
  readonly component: ComponentPath;
  readonly device: string;
  readonly hosts: string[];
}

/** By the name facts give them, `w:vdb`. Of a machine that runs, the disk it uses is known to be the right one. */
export function ambiguousDataDisks(
  networkId: string,
  { machines }: ObservedNetwork,
  { reached, missed }: ObservedHosts,
): ReadonlyMap<string, AmbiguousDataDisk> {
  const ambiguous = new Map<string, AmbiguousDataDisk>();
  for (const [name, { component, device, hosts }] of disksByName(networkId, reached)) {
    const machine = machines.get(component);
    const isKnown = machine?.record.current?.description.dataDisks.some((disk) => disk.device === device);
    // A host that does not answer may still have the one that the state knows of.
    const unseenOn =
      machine !== undefined && isKnown === true && missed.has(machine.host) ? machine.host : undefined;
    if (hosts.length + (unseenOn === undefined ? 0 : 1) < 2) continue;
    const usedOn = machine === undefined || machine.state === "absent" ? undefined : machine.host;
    ambiguous.set(name, {
      networkId,
      hosts: hosts.sort(),
      ...(unseenOn === undefined ? {} : { unseenOn }),
      ...(usedOn === undefined ? {} : { usedOn }),
    });
  }
  return ambiguous;
}

function disksByName(networkId: string, reached: ObservedHosts["reached"]): ReadonlyMap<string, Found> {
  const found = new Map<string, Found>();
  for (const [host, { inventory }] of reached) {
    for (const { id, device, inAttic } of inventory.dataDisks) {
      if (inAttic || id.networkId !== networkId) continue;
      const name = diskName(id.component, device);
      const known = found.get(name) ?? { component: id.component, device, hosts: [] };
      if (!known.hosts.includes(host)) known.hosts.push(host);
      found.set(name, known);
    }
  }
  return found;
}
