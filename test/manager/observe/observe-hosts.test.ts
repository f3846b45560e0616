import { test } from "tap";
import { CollectiveError } from "../../../src/errors.ts";
import type { Host } from "../../../src/host/host.ts";
import { previewNetwork } from "../../../src/manager/change/preview-network.ts";
import { networkStatus } from "../../../src/manager/observe/network-status.ts";
import type { StateStore } from "../../../src/manager/records/state-store.ts";
import { sampleAppliance } from "../cvl-fixtures.ts";
import { sampleInventory } from "../manager-fixture.ts";
import { createMemoryHost } from "../memory-host.ts";
import { createMemoryStore } from "../memory-store.ts";

/** Hosts that answer late, so that what fails beside them fails first. */
function createCountingHosts(): {
  readonly connect: (address: string) => Promise<Host>;
  readonly open: () => number;
} {
  let open = 0;
  return {
    connect: async (address) => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      open += 1;
      const close = (): Promise<void> => {
        open -= 1;
        return Promise.resolve();
      };
      return { ...createMemoryHost({ name: address }), close };
    },
    open: () => open,
  };
}

const failure = new CollectiveError("UTILITY_REFUSED", "the files have a mistake");
const brokenStore: StateStore = { ...createMemoryStore(), read: () => Promise.reject(failure) };

test("connections to hosts are closed when what runs beside the look at them fails", async (t) => {
  const { connect, open } = createCountingHosts();
  const inventory = sampleInventory(["h1", "h2"]);
  const parts = { networkId: "office", inventory, connect, env: {} };
  const loadMacKey = (): Promise<Uint8Array> => Promise.resolve(new Uint8Array(32));
  const failing: readonly Promise<unknown>[] = [
    previewNetwork({
      ...parts,
      loadMacKey,
      store: createMemoryStore(),
      loadAppliance: () => Promise.reject(failure),
    }),
    previewNetwork({ ...parts, loadMacKey, store: brokenStore, loadAppliance: () => sampleAppliance() }),
    previewNetwork({
      ...parts,
      loadMacKey: () => Promise.reject(failure),
      store: createMemoryStore(),
      loadAppliance: () => sampleAppliance(),
    }),
    networkStatus({ inventory, connect, store: brokenStore }),
  ];
  for (const work of failing) await t.rejects(work, { code: "UTILITY_REFUSED" });
  t.equal(open(), 0);
});
