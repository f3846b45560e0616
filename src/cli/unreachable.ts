/** Hosts that did not answer are named, with what is therefore unknown. */
import { visible } from "../diagnostics.ts";
import type { CliContext } from "./context.ts";

export function warnUnreachable(
  context: Pick<CliContext, "warn">,
  hosts: readonly { readonly host: string; readonly message: string }[],
  unknown: string,
): void {
  for (const { host, message } of hosts)
    context.warn(`warning: host ${host}: ${visible(message)}; ${unknown}`);
}
