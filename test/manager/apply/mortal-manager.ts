/** Makes a manager die at a chosen moment: from then on nothing it does has an effect, as when its process was killed. */
import type { Host } from "../../../src/host/host.ts";
import type { StateStore } from "../../../src/manager/records/state-store.ts";

export class Died extends Error {}

export interface Death {
  /** Moments passed so far: each commit and each call that changes a host has one before and one after it. */
  readonly passed: () => number;
  store(store: StateStore): StateStore;
  host(host: Host): Host;
}

const MUTATING = new Set([
  "prepareImage",
  "prepareDataDisks",
  "startMachine",
  "sendParameters",
  "stopMachine",
  "moveToAttic",
  "restoreFromAttic",
  "purgeAttic",
  "awaitReady",
]);

/** `at` counts from 0; Infinity lives on. */
export function createDeath(at: number): Death {
  let passed = 0;
  let isDead = false;
  const moment = (): void => {
    if (passed === at) isDead = true;
    passed += 1;
    if (isDead) throw new Died("killed");
  };
  return {
    passed: () => passed,
    store: (store) => ({
      directory: store.directory,
      read: () => (isDead ? Promise.reject(new Died("killed")) : store.read()),
      update: async (change) => {
        moment();
        const snapshot = await store.update(change);
        moment();
        return snapshot;
      },
    }),
    host: (host) =>
      new Proxy(host, {
        get: (target, name) => {
          const method = Reflect.get(target, name) as unknown;
          if (typeof method !== "function" || !MUTATING.has(String(name))) return method;
          return async (...args: unknown[]): Promise<unknown> => {
            moment();
            const result: unknown = await Reflect.apply(method, target, args);
            moment();
            return result;
          };
        },
      }),
  };
}
