/** A network named by its root file, or by its id: that of a network that is gone is in no file any more. */
import { statSync } from "node:fs";
import path from "node:path";
import { CollectiveError } from "../errors.ts";
import { askHosts } from "../manager/data/ask-hosts.ts";
import { entriesOf, listAttic, type NamedData } from "../manager/data/list-attic.ts";
import { listNetworks } from "../manager/records/state.ts";
import type { CliContext } from "./context.ts";
import { nameNetwork, type Manager } from "./manager.ts";

interface Name {
  readonly cvl: string;
  readonly object?: string | undefined;
}

/** An id has neither a dot nor a slash, a root file ends with .cvl. */
export function networkIdOf(
  manager: Pick<Manager, "site">,
  context: Pick<CliContext, "cwd">,
  name: Name,
): string {
  return namedData(manager, context, name).networkId;
}

/** With `--object` the file alone does not name the network. */
export function namedData(
  manager: Pick<Manager, "site">,
  { cwd }: Pick<CliContext, "cwd">,
  { cvl, object }: Name,
): NamedData {
  if (/^[a-z0-9-]{1,36}$/.test(cvl)) return { networkId: cvl };
  const { networkId, file } = nameNetwork(manager, { cwd, cvl, object });
  return { networkId, file: object === undefined ? file : undefined };
}

/**
 * For a name under which nothing was found: it is no mistyped one when utility.yaml, the state, the data or the attics of the hosts know
 * it, or when there is such a file.
 * @throws CollectiveError UTILITY_NETWORK_UNKNOWN
 */
export async function requireKnownName(
  manager: Manager,
  { cwd }: Pick<CliContext, "cwd">,
  { name, named }: { readonly name: Name; readonly named: NamedData },
): Promise<void> {
  const { store, connect } = manager;
  const { inventory } = manager.site;
  const { networkId } = named;
  if (inventory.networks.some(({ id }) => id === networkId)) return;
  if (listNetworks(await store.read()).includes(networkId)) return;
  if (isRootFile(path.resolve(cwd, name.cvl))) return;
  const [attic, data] = await Promise.all([
    listAttic({ inventory, connect, store }),
    askHosts(inventory.hosts, { connect }, (host) => host.listData(networkId)),
  ]);
  const hasData = [...data.answers.values()].some(({ disks }) => disks.length > 0);
  if (hasData || entriesOf(attic, named).length > 0) return;
  const silent = new Set([...attic.unreachable, ...data.unreachable].map(({ host }) => host));
  const reserve = silent.size === 0 ? "" : `; ${[...silent].join(", ")} cannot be asked`;
  throw new CollectiveError(
    "UTILITY_NETWORK_UNKNOWN",
    `${name.cvl} is no file, and no network of that name is in utility.yaml, in the state or on a host${reserve}`,
    { data: { networkId }, hint: "`cui data list` and `cui attic list` show what there is" },
  );
}

function isRootFile(file: string): boolean {
  return file.endsWith(".cvl") && statSync(file, { throwIfNoEntry: false })?.isFile() === true;
}
