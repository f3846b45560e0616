/** A network named by its root file, or by its id: that of a network that is gone is in no file any more. */
import type { CliContext } from "./context.ts";
import { nameNetwork, type Manager } from "./manager.ts";

/** An id has neither a dot nor a slash, a root file ends with .cvl. */
export function networkIdOf(
  manager: Pick<Manager, "site">,
  { cwd }: Pick<CliContext, "cwd">,
  { cvl, object }: { readonly cvl: string; readonly object?: string | undefined },
): string {
  if (/^[a-z0-9-]{1,36}$/.test(cvl)) return cvl;
  return nameNetwork(manager, { cwd, cvl, object }).networkId;
}
