/** A number of seconds as an input. */
import { visible } from "../src/diagnostics.ts";
import { CollectiveError } from "../src/errors.ts";
import type { InputReader } from "./inputs.ts";

/** `fallback` when it is empty. @throws CollectiveError USAGE. */
export function readSeconds(inputs: InputReader, name: string, fallback: number): number {
  const text = inputs.text(name) ?? String(fallback);
  if (/^[1-9][0-9]{0,4}$/.test(text)) return Number(text);
  throw new CollectiveError(
    "USAGE",
    `the input ${name} expects a number of seconds from 1 to 99999, got "${visible(text.slice(0, 200))}"`,
  );
}
