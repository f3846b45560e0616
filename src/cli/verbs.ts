/** The verbs of `cui` with their one-line summaries; a verb's module is loaded only when it is called. */
import type { VerbModule } from "./context.ts";

export interface VerbEntry {
  readonly name: string;
  readonly summary: string;
  load(): Promise<VerbModule>;
}

export const VERBS: readonly VerbEntry[] = [];
