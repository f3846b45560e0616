/** What a plan says of data disks that lie on more than one host. */
import type { ComponentPath } from "../cvl/tree.ts";
import { makeDiagnostic } from "../diagnostics.ts";
import { displayPath } from "../network/paths.ts";
import { ACTION_KINDS } from "./action-kinds.ts";
import type { MachineChange } from "./machine-change.ts";
import type { AmbiguousDataDisk, PlanFacts, PlanWarning, Refusal } from "./plan.ts";

interface Named extends AmbiguousDataDisk {
  readonly name: string;
  readonly component: ComponentPath;
  readonly device: string;
}

/** For machines that would start on one of the copies: it may be the old one. */
export function refuseAmbiguousDisks(
  changes: ReadonlyMap<ComponentPath, MachineChange>,
  facts: PlanFacts,
  appliance: string,
): Refusal[] {
  return named(facts)
    .filter((disk) => isAtStake(disk, changes.get(disk.component)))
    .map((disk) => ({
      ...makeDiagnostic(
        "PLAN_DATA_DISK_AMBIGUOUS",
        `the data disk ${disk.device} of ${displayPath(disk.component, appliance)} ${places(disk)}: which one is current cannot be told`,
        undefined,
        { hint: wayOut(disk) },
      ),
      component: disk.component,
    }));
}

/** For the others: what will be in the way when they stop. */
export function warnOfAmbiguousDisks(
  changes: ReadonlyMap<ComponentPath, MachineChange>,
  facts: PlanFacts,
  appliance: string,
): PlanWarning[] {
  return named(facts)
    .filter((disk) => !isAtStake(disk, changes.get(disk.component)))
    .map((disk) => {
      const use = disk.usedOn === undefined ? "" : `; it runs with the one on ${disk.usedOn}`;
      const message = `${displayPath(disk.component, appliance)}: its data disk ${disk.device} ${places(disk)}${use}`;
      return {
        component: disk.component,
        message: `${message}, and once stopped it will not start again before there is one: ${wayOut(disk)}`,
      };
    });
}

function named({ ambiguousDataDisks }: PlanFacts): Named[] {
  return [...(ambiguousDataDisks ?? [])].map(([name, disk]) => {
    const component = name.slice(0, name.lastIndexOf(":"));
    return { ...disk, name, component, device: name.slice(component.length + 1) };
  });
}

/** A machine that runs goes on with the disk it has; one that is started anew must not guess. */
function isAtStake({ usedOn }: Named, change: MachineChange | undefined): boolean {
  return usedOn === undefined && change !== undefined && ACTION_KINDS[change.kind].needsImage === true;
}

function places({ hosts, unseenOn }: Named): string {
  const list = hosts.join(" and on ");
  return unseenOn === undefined
    ? `lies on ${list}`
    : `lies on ${list}, and on ${unseenOn}, which does not answer, is the one that was used last`;
}

function wayOut({ networkId, component, device, hosts, unseenOn, usedOn }: Named): string {
  const file = `networks/${networkId}/machines/${component === "" ? "_root" : component}/data-${device.replace(":", "_")}.qcow2`;
  const move = `move ${file} out of /var/lib/collective on the host whose copy is not wanted`;
  if (unseenOn !== undefined)
    return `bring ${unseenOn} back and ${move}; or, where ${unseenOn} is lost for good, \`cui host remove ${unseenOn}\``;
  const other = hosts.find((host) => host !== usedOn);
  return usedOn === undefined ? `${move}; nothing was changed` : `${move} (${other})`;
}
