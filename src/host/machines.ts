/** The machines libvirt knows on this host that carry our labels. */
import type { Libvirt, DomainCondition } from "./libvirt.ts";
import { readDomainLabels } from "./domain-xml.ts";
import type { MachineLabels } from "./machine-labels.ts";
import { domainName } from "./names.ts";

export interface FoundMachine extends DomainCondition {
  readonly name: string;
  readonly labels: MachineLabels;
}

/** Read from libvirt each time. Domains of others are left alone, whatever they are called. */
export async function readMachines(libvirt: Libvirt): Promise<readonly FoundMachine[]> {
  const conditions = await libvirt.conditions();
  const names = [...conditions.keys()].filter((name) => /^cui\.[A-Za-z0-9_.-]+$/.test(name));
  const definitions = await libvirt.definitions(names);
  return definitions.flatMap((xml) => {
    const labels = readDomainLabels(xml);
    if (labels === undefined) return [];
    const name = domainName(labels);
    const condition = conditions.get(name);
    return condition === undefined ? [] : [{ name, labels, ...condition }];
  });
}
