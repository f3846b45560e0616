/** The state without git: what the tests of crashes use, which need it hundreds of times. */
import type { StateSnapshot } from "../../src/manager/records/state-snapshot.ts";
import type { StateStore } from "../../src/manager/records/state-store.ts";

export interface MemoryStore extends StateStore {
  readonly messages: string[];
}

export function createMemoryStore(): MemoryStore {
  let snapshot: StateSnapshot = { revision: null, files: new Map() };
  const messages: string[] = [];
  return {
    directory: "memory",
    messages,
    read: () => Promise.resolve(snapshot),
    update: async (change) => {
      await new Promise((resolve) => setImmediate(resolve));
      const made = change(snapshot);
      if (made === undefined) return snapshot;
      const files = new Map(snapshot.files);
      for (const [file, content] of made.files) {
        if (content === null) files.delete(file);
        else files.set(file, content);
      }
      messages.push(made.message);
      snapshot = { revision: String(messages.length), files };
      return snapshot;
    },
  };
}
