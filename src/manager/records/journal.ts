/**
 * The journal of a network's operation: one line of JSON before and one after each step, committed together with the change of
 * the machine's record. Its history is the history of the state repository.
 */
import { textIn, type StateSnapshot } from "./state-snapshot.ts";
import type { StateChange } from "./state-store.ts";
import type { Lease } from "./lease.ts";
import { journalFile, machineFile, machineText, STATE_FORMAT, type MachineRecord } from "./state.ts";

export interface JournalEntry {
  /** ISO 8601 */
  readonly at: string;
  readonly token: number;
  /** Id of the action: `replace w`. */
  readonly step: string;
  readonly event: "begin" | "end" | "failed" | "skipped";
  /** What went wrong. */
  readonly detail?: string;
}

export interface Journal {
  /** Records a step's beginning or end, with what becomes of the machine's record (null removes it). */
  record(entry: {
    step: string;
    event: JournalEntry["event"];
    detail?: string;
    machine?: { component: string; record: MachineRecord | null };
  }): Promise<void>;
}

const MAX_DETAIL = 500;

/** Begins the operation's journal with its first commit: `change` adds to it what the operation reserves. */
export async function beginJournal(options: {
  readonly lease: Lease;
  readonly operation: string;
  readonly change: (snapshot: StateSnapshot) => StateChange;
}): Promise<Journal> {
  const { lease, operation } = options;
  const file = journalFile(lease.networkId);
  await lease.commit((snapshot) => {
    const { message, files } = options.change(snapshot);
    const line = lineOf(lease, { step: operation, event: "begin" });
    return { message, files: new Map([...files, [file, line]]) };
  });
  return {
    record: async ({ step, event, detail, machine }) => {
      const line = lineOf(lease, {
        step,
        event,
        ...(detail === undefined ? {} : { detail: detail.slice(0, MAX_DETAIL) }),
      });
      await lease.commit((snapshot) => {
        const files = new Map<string, string | null>([[file, `${textIn(snapshot, file) ?? ""}${line}`]]);
        if (machine !== undefined) {
          files.set(
            machineFile(lease.networkId, machine.component),
            machine.record === null ? null : machineText(machine.record),
          );
        }
        return { message: `${lease.networkId}: ${step} ${event}`, files };
      });
    },
  };
}

function lineOf(lease: Lease, entry: Omit<JournalEntry, "at" | "token">): string {
  return `${JSON.stringify({ format: STATE_FORMAT, at: new Date().toISOString(), token: lease.token, ...entry })}\n`;
}
