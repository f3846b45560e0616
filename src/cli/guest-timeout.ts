/** `--timeout`: how long a guest may take. */
import { CollectiveError } from "../errors.ts";

/** To become ready. */
export const DEFAULT_READY_SECONDS = "300";
/** To stop, before it is destroyed. */
export const DEFAULT_STOP_SECONDS = "180";

/** In milliseconds. @throws CollectiveError USAGE */
export function parseGuestTimeout(text: string, { least }: { readonly least: number }): number {
  const seconds = Number(text);
  if (/^[0-9]{1,6}$/.test(text) && seconds >= least) return seconds * 1000;
  const wanted = `whole seconds, ${least} or more`;
  throw new CollectiveError("USAGE", `--timeout expects ${wanted}, but it is ${JSON.stringify(text)}`);
}
