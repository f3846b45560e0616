/** What of a file is looked at when it has several objects and no main one. */
import type { Diagnostic, TextOf } from "../../diagnostics.ts";
import { parse } from "./parser.ts";

/**
 * Such a file can be checked, only not started: the name of its first object, for another look. Undefined when that is not its only
 * mistake, or none.
 */
export function firstObjectName(
  { diagnostics, textOf }: { readonly diagnostics: readonly Diagnostic[]; readonly textOf: TextOf },
  file: string,
): string | undefined {
  const [error, second] = diagnostics.filter(({ severity }) => severity === "error");
  if (error?.code !== "CVL_ROOT_OBJECT" || second !== undefined) return undefined;
  return parse(textOf(file) ?? "", file).file.objects[0]?.name.text;
}
