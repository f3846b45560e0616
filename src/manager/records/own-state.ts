/** A state repository belongs to one site and says so: two sites that share one would take each other's networks for theirs. */
import * as z from "zod";
import { CollectiveError } from "../../errors.ts";
import { textIn, type StateSnapshot } from "./state-snapshot.ts";
import type { StateChange, StateStore } from "./state-store.ts";
import { parseRecord, STATE_FORMAT, toFile } from "./state.ts";

const SITE_FILE = "site.json";

const siteSchema = z.object({ format: z.literal(STATE_FORMAT), site: z.string() }).readonly();

/**
 * The state as its site sees it: what is read must be its own, and the first change but a lease says whose it is. `null`: the site
 * has no id yet, so that a state that belongs to one is another's. Undefined (a commit of an earlier release): it is not told apart.
 * @throws CollectiveError STATE_OTHER_SITE from each call.
 */
export function ownState(store: StateStore, site: string | null | undefined): StateStore {
  if (site === undefined) return store;
  const requireOwn = (snapshot: StateSnapshot): StateSnapshot => {
    const owner = ownerOf(snapshot);
    if (owner === undefined || owner === site) return snapshot;
    throw otherSite({ owner, site, directory: store.directory });
  };
  const claimed = (snapshot: StateSnapshot, change: StateChange | undefined): StateChange | undefined => {
    if (site === null || change === undefined || !isLasting(change) || ownerOf(snapshot) !== undefined)
      return change;
    const claim = toFile({ format: STATE_FORMAT, site });
    return { ...change, files: new Map([[SITE_FILE, claim], ...change.files]) };
  };
  return {
    directory: store.directory,
    read: async () => requireOwn(await store.read()),
    update: (change) => store.update((snapshot) => claimed(snapshot, change(requireOwn(snapshot)))),
  };
}

/** A lease alone goes when what it was for is refused. */
function isLasting({ files }: StateChange): boolean {
  return [...files.keys()].some((file) => !file.endsWith("/lease.json"));
}

function ownerOf(snapshot: StateSnapshot): string | undefined {
  const text = textIn(snapshot, SITE_FILE);
  return text === undefined ? undefined : parseRecord({ schema: siteSchema, text, file: SITE_FILE }).site;
}

function otherSite(parts: { owner: string; site: string | null; directory: string }): CollectiveError {
  const { owner, site, directory } = parts;
  const own = `give each site a state of its own: set CUI_STATE to another folder`;
  return new CollectiveError(
    "STATE_OTHER_SITE",
    `the state in ${directory} belongs to the site ${owner}, and utility.yaml here ${site === null ? "has no line `site:`" : `says site: ${site}`}`,
    {
      data: { owner, site, directory },
      hint:
        site === null
          ? `if that line was lost, write \`site: "${owner}"\` into it again; else ${own}`
          : `${own}; nothing was changed`,
    },
  );
}
