/** What nobody can say while a host does not answer: by the state's records, which components and which data are there. */
import type { ComponentPath } from "../../cvl/tree.ts";
import { isWithin, machineName } from "../../network/paths.ts";
import { diskName } from "../../plan/data-disk-changes.ts";
import type { PlanWarning } from "../../plan/plan.ts";
import type { NetworkState } from "../records/state.ts";
import type { ObservedHosts } from "./observe-hosts.ts";

export interface Unknown {
  /** Components of which nobody knows whether they run. */
  readonly components: readonly ComponentPath[];
  /** Data disks of which nobody knows whether they are there, `w:vdb`. */
  readonly dataDisks: readonly string[];
}

export interface UnseenHost {
  readonly host: string;
  readonly code: string;
  /** Why nobody can ask it. */
  readonly message: string;
}

/** Hosts that do not answer, and those that have something of `states` and are not listed any more. */
export function unseenHosts(
  { reached, missed }: ObservedHosts,
  states: readonly (NetworkState | undefined)[],
): readonly UnseenHost[] {
  const recorded = states.flatMap((state) => [...(state?.machines.values() ?? [])].map(({ host }) => host));
  const unlisted = [...new Set(recorded)].filter((host) => !reached.has(host) && !missed.has(host));
  return [
    ...[...missed.values()].map(({ entry, error }) => ({
      ...{ host: entry.name, code: error.code, message: error.message },
    })),
    ...unlisted.map((host) => ({
      ...{ host, code: "UTILITY_HOST_UNKNOWN", message: "it is not in utility.yaml any more" },
    })),
  ];
}

/** What of a network is on a host by the records alone. */
export function unknownOn(host: string, state: NetworkState | undefined, below: ComponentPath = ""): Unknown {
  const here = [...(state?.machines.values() ?? [])].filter(
    (record) => record.host === host && isWithin(record.component, below),
  );
  return {
    components: here.filter(({ phase }) => phase !== "stopped").map(({ component }) => component),
    dataDisks: here.flatMap(({ component, current, next }) =>
      ((current ?? next)?.description.dataDisks ?? []).map(({ device }) => diskName(component, device)),
    ),
  };
}

/** `unknown is whether d and w run, and whether the data disk w:vdb is there`; undefined when nothing is unknown. */
export function describeUnknown({ components, dataDisks }: Unknown): string | undefined {
  const one = components.length === 1;
  const parts = [
    ...(components.length === 0
      ? []
      : [`whether ${listNames(components.map(machineName))} ${one ? "runs" : "run"}`]),
    ...(dataDisks.length === 0
      ? []
      : [
          `whether the data ${dataDisks.length === 1 ? "disk" : "disks"} ${listNames(dataDisks)} ${dataDisks.length === 1 ? "is" : "are"} there`,
        ]),
  ];
  return parts.length === 0 ? undefined : `unknown is ${parts.join(", and ")}`;
}

/** A warning for each host nobody can ask. One that has nothing of the network leaves nothing of it unknown. */
export function unseenWarnings(
  observedHosts: ObservedHosts,
  state: NetworkState | undefined,
  component: ComponentPath | undefined,
): readonly PlanWarning[] {
  return unseenHosts(observedHosts, [state]).map(({ host, message }) => {
    const unknown = describeUnknown(unknownOn(host, state, component));
    const said = `host ${host} cannot be asked: ${message}`;
    return unknown === undefined
      ? { message: `${said}; nothing of this is recorded there` }
      : { message: `${said}; ${unknown}`, about: "unseen" as const };
  });
}

const MOST_NAMED = 10;

function listNames(names: readonly string[]): string {
  const more = names.length > MOST_NAMED ? ` and ${names.length - MOST_NAMED} more` : "";
  return `${names.slice(0, MOST_NAMED).join(", ")}${more}`;
}
