/** `--timeout` of the verbs that stop machines. */
import { CollectiveError } from "../errors.ts";

/** How long a guest may take before it is destroyed. */
export const DEFAULT_STOP_SECONDS = "180";

/** In milliseconds. @throws CollectiveError USAGE */
export function parseStopTimeout(text: string): number {
  if (/^[0-9]{1,6}$/.test(text)) return Number(text) * 1000;
  throw new CollectiveError("USAGE", `--timeout expects whole seconds, but it is ${JSON.stringify(text)}`);
}
