/** A cluster manager over memory hosts and a real state repository, for one test. */
import { openStateStore, type StateStore } from "../../src/manager/records/state-store.ts";
import {
  changeNetwork,
  type ChangeOptions,
  type ChangeResult,
} from "../../src/manager/apply/change-network.ts";
import type { Inventory } from "../../src/site/inventory.ts";
import { parseAddress } from "../../src/network/ipv4.ts";
import {
  networkStatus,
  type MachineStatus,
  type StatusReport,
} from "../../src/manager/observe/network-status.ts";
import { previewNetwork, type PreviewOptions } from "../../src/manager/change/preview-network.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { loadMacKey } from "../../src/manager/change/sensitive.ts";
import type { ConnectHost } from "../../src/manager/observe/observe-hosts.ts";
import { stopNetwork, type StopOptions, type StopResult } from "../../src/manager/apply/stop-network.ts";
import { CollectiveError } from "../../src/errors.ts";
import type { Host } from "../../src/host/host.ts";
import { sampleAppliance, type SampleOffice } from "./cvl-fixtures.ts";
import { createMemoryHost, type MemoryHost, type MemoryHostOptions } from "./memory-host.ts";
import { SILENT } from "./silent.ts";

export interface Manager {
  readonly directory: string;
  readonly store: StateStore;
  readonly connect: ConnectHost;
  readonly hosts: Readonly<Record<string, MemoryHost>>;
  /** Names of hosts that do not answer. */
  readonly down: Set<string>;
  inventory: Inventory;
  start(office?: SampleOffice, options?: Partial<ChangeOptions>): Promise<ChangeResult>;
  update(office?: SampleOffice, options?: Partial<ChangeOptions>): Promise<ChangeResult>;
  plan(office?: SampleOffice, options?: Partial<PreviewOptions>): Promise<Plan>;
  stop(options?: Partial<StopOptions>): Promise<StopResult>;
  status(networkId?: string): Promise<Record<string, MachineStatus>>;
  report(): Promise<StatusReport>;
  /** Files of the state without leases. */
  files(): Promise<Record<string, string>>;
  /** All calls of all hosts since the last time, without image preparation. */
  calls(): string[];
}

export const PASSWORD = "correct horse battery";

const LIMITS = { readyMs: 400, stopMs: 100, reloadMs: 50 };

export async function createManager(
  directory: string,
  hostOptions: readonly MemoryHostOptions[] = [{ name: "h1" }, { name: "h2" }],
  options: { readonly store?: StateStore } = {},
): Promise<Manager> {
  const stateDirectory = `${directory}/state.git`;
  const store = options.store ?? (await openStateStore(stateDirectory));
  const calls: string[] = [];
  const hosts = Object.fromEntries(
    hostOptions.map((options) => [options.name, createMemoryHost({ ...options, calls })]),
  );
  const down = new Set<string>();
  const connect = (address: string): Promise<Host> => {
    const name = address.replace("unix:/", "");
    const host = hosts[name];
    if (host === undefined || down.has(name)) {
      return Promise.reject(new CollectiveError("UTILITY_HOST_UNREACHABLE", `${address} does not answer`));
    }
    return Promise.resolve(host);
  };
  const change = (
    kind: "start" | "update",
    office: SampleOffice,
    options: Partial<ChangeOptions>,
  ): Promise<ChangeResult> =>
    changeNetwork({
      kind,
      networkId: "office",
      site: directory,
      file: "office.cvl",
      inventory: manager.inventory,
      loadAppliance: () => sampleAppliance(office),
      store,
      loadMacKey: () => loadMacKey(stateDirectory),
      connect,
      env: { CUI_SECRET_Office__w__password: PASSWORD },
      progress: SILENT,
      limits: LIMITS,
      ...options,
    });
  const manager: Manager = {
    directory: stateDirectory,
    store,
    connect,
    hosts,
    down,
    inventory: sampleInventory(Object.keys(hosts)),
    start: (office = {}, options = {}) => change("start", office, options),
    update: (office = {}, options = {}) => change("update", office, options),
    plan: (office = {}, options = {}) =>
      previewNetwork({
        networkId: "office",
        inventory: manager.inventory,
        loadAppliance: () => sampleAppliance(office),
        store,
        loadMacKey: () => loadMacKey(stateDirectory),
        connect,
        env: { CUI_SECRET_Office__w__password: PASSWORD },
        ...options,
      }),
    stop: (options = {}) =>
      stopNetwork({
        networkId: "office",
        file: "office.cvl",
        inventory: manager.inventory,
        store,
        connect,
        progress: SILENT,
        limits: LIMITS,
        ...options,
      }),
    report: () => networkStatus({ store, inventory: manager.inventory, connect }),
    status: async (networkId = "office") => {
      const report = await networkStatus({ store, inventory: manager.inventory, connect, networkId });
      return Object.fromEntries(
        (report.networks[0]?.machines ?? []).map((machine) => [machine.component, machine]),
      );
    },
    files: async () => {
      const { files } = await store.read();
      return Object.fromEntries([...files].filter(([file]) => !file.endsWith("/lease.json")));
    },
    calls: () => calls.splice(0).filter((call) => !/^!?prepare/.test(call)),
  };
  return manager;
}

export function sampleInventory(names: readonly string[]): Inventory {
  return {
    site: undefined,
    hosts: names.map((name) => ({
      name,
      address: `unix:/${name}`,
      memoryBytes: undefined,
      maxMachines: 10,
      arch: undefined,
    })),
    vlans: [100, 101],
    external: { tag: 1000, subnet: "198.51.100.0/24", gateway: "198.51.100.1" },
    addresses: [{ first: parseAddress("198.51.100.10")!, last: parseAddress("198.51.100.12")! }],
    subnets: "10.0.0.0/8",
    networks: [],
    blacklist: [],
    allow: undefined,
    approval: { persons: {}, signers: [], automerge: undefined },
    rollout: { branch: "main", on: "never", startsNew: true },
  };
}
