/** A number of seconds as an input. */
import { visible } from "../src/diagnostics.ts";
import { CollectiveError } from "../src/errors.ts";
import type { InputReader } from "./inputs.ts";

/** `fallback` when it is empty; `least` is 1 unless it is said. @throws CollectiveError USAGE. */
export function readSeconds(
  inputs: InputReader,
  name: string,
  { fallback, least = 1 }: { readonly fallback: number; readonly least?: number },
): number {
  const text = inputs.text(name) ?? String(fallback);
  if (/^(0|[1-9][0-9]{0,5})$/.test(text) && Number(text) >= least) return Number(text);
  throw new CollectiveError(
    "USAGE",
    `the input ${name} expects a number of seconds from ${least} to 999999, got "${visible(text.slice(0, 200))}"`,
  );
}
