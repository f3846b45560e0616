/** Options whose value is a number of seconds. */
import { CollectiveError } from "../errors.ts";

/** `--timeout`: how long a guest may take to become ready. */
export const DEFAULT_READY_SECONDS = "300";
/** `--timeout`: how long one may take to stop, before it is destroyed. */
export const DEFAULT_STOP_SECONDS = "180";

/** @throws CollectiveError USAGE for what is no number of seconds, or fewer than `least` */
export function parseSeconds(option: string, text: string, { least }: { readonly least: number }): number {
  const seconds = Number(text);
  if (/^[0-9]{1,6}$/.test(text) && seconds >= least) return seconds;
  const wanted = `whole seconds, ${least} or more`;
  throw new CollectiveError("USAGE", `${option} expects ${wanted}, but it is ${JSON.stringify(text)}`);
}
