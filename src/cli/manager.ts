/** What the verbs of the cluster manager share: the site, the state, the network a root file stands for. */
import { networkIdFor, registerNetwork, siteRelative } from "../site/network-id.ts";
import { gitOf } from "./git-of.ts";
import { findSite, identifySite, type EditOptions, type Site } from "../site/site.ts";
import { loadMacKey } from "../manager/change/sensitive.ts";
import {
  openStateStore,
  stateDirectoryOf,
  tidyStateStore,
  type StateStore,
} from "../manager/records/state-store.ts";
import { ownState } from "../manager/records/own-state.ts";
import { shareObjects, type ShareObjects } from "../appliance/share-objects.ts";
import { connectHost } from "../host/connect-host.ts";
import { createTimeline, type Timeline } from "../manager/change/timeline.ts";
import type { ConnectHost } from "../manager/observe/observe-hosts.ts";
import type { CliContext } from "./context.ts";

export interface Manager {
  readonly site: Site;
  readonly store: StateStore;
  readonly connect: ConnectHost;
  readonly shareObjects: ShareObjects;
  readonly timeline: Timeline;
  loadMacKey(): Promise<Uint8Array>;
  /** Packs the state now and then. */
  tidy(): Promise<void>;
}

export interface NamedNetwork {
  readonly networkId: string;
  /** Root file, relative to the site. */
  readonly file: string;
  /** Writes the id into utility.yaml when it is not there yet. */
  register(options: EditOptions): Promise<void>;
}

/**
 * Finds the site and opens its state at `$CUI_STATE`. With `writes` the site gets its id, where it has none yet.
 * @throws CollectiveError UTILITY_NO_SITE, UTILITY_INVENTORY_INVALID; the state's calls STATE_OTHER_SITE.
 */
export async function openManager(
  context: CliContext,
  { writes }: { readonly writes?: boolean } = {},
): Promise<Manager> {
  const timeline = createTimeline(context.startedAtMs);
  const stateDirectory = stateDirectoryOf(context.env);
  const both = [findSite(context.cwd), openStateStore(stateDirectory)] as const;
  // Where the site cannot be read, nothing goes on making the state behind the error.
  await Promise.allSettled(both);
  const [found, opened] = await Promise.all(both);
  const { site, store } = await identify(found, { state: opened, writes, context });
  return {
    site,
    store,
    connect: connectHost,
    shareObjects: (image) => shareObjects(gitOf(context), image),
    timeline,
    loadMacKey: () => loadMacKey(stateDirectory),
    tidy: () => tidyStateStore(stateDirectory),
  };
}

/** A site gets its id only where the state is not another's: what would be refused writes nothing. */
async function identify(
  found: Site,
  {
    state,
    writes = false,
    context,
  }: { readonly state: StateStore; readonly writes: boolean | undefined; readonly context: CliContext },
): Promise<{ readonly site: Site; readonly store: StateStore }> {
  const store = ownState(state, found.inventory.site ?? null);
  if (!writes || found.inventory.site !== undefined) return { site: found, store };
  await store.read();
  const site = await identifySite(found, { onWait: context.warn });
  return { site, store: ownState(state, site.inventory.site) };
}

export function nameNetwork(
  { site }: Pick<Manager, "site">,
  options: { readonly cwd: string; readonly cvl: string; readonly object?: string | undefined },
): NamedNetwork {
  const file = siteRelative(site, options.cwd, options.cvl);
  const networkId = networkIdFor(site.inventory, file, options.object);
  const entry = { id: networkId, file, ...(options.object === undefined ? {} : { object: options.object }) };
  return { networkId, file, register: (how) => registerNetwork(site, entry, how) };
}
