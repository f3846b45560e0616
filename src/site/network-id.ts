/** The stable id of a root file's network: what its machines, disks and addresses are kept under. */
import { createHash } from "node:crypto";
import path from "node:path";
import { CollectiveError } from "../errors.ts";
import { addNetwork } from "./edit-inventory.ts";
import type { Inventory, InventoryNetwork } from "./inventory.ts";
import { editSite, type EditOptions, type Site } from "./site.ts";

/** A root file as the inventory names it: relative to the site, `/` between folders. */
export function siteRelative(site: Site, cwd: string, file: string): string {
  const relative = path.relative(site.folder, path.resolve(cwd, file)).split(path.sep).join("/");
  if (relative.startsWith("../") || path.isAbsolute(relative)) {
    throw new CollectiveError("UTILITY_NO_SITE", `${file} lies outside the site ${site.folder}`, {
      hint: "run the command in the site the file belongs to",
    });
  }
  return relative;
}

/** The entry of a root file; one without `object` stands for every object of its file. */
export function findNetwork(
  inventory: Inventory,
  file: string,
  object: string | undefined,
): InventoryNetwork | undefined {
  const ofFile = inventory.networks.filter((network) => network.file === file);
  if (object === undefined)
    return ofFile.length === 1 ? ofFile[0] : ofFile.find((network) => network.object === undefined);
  return (
    ofFile.find((network) => network.object === object) ??
    ofFile.find((network) => network.object === undefined)
  );
}

/** The id a file's network has, or will get when it is started first. */
export function networkIdFor(inventory: Inventory, file: string, object: string | undefined): string {
  return findNetwork(inventory, file, object)?.id ?? newId(inventory, file, object);
}

/** Writes the network into utility.yaml when it is not there yet; else the file is not touched, nor its lock. */
export async function registerNetwork(
  site: Site,
  network: { file: string; object?: string; id: string },
  options: EditOptions = {},
): Promise<void> {
  if (site.inventory.networks.some((known) => known.id === network.id)) return;
  const edit = (text: string, inventory: Inventory): string =>
    inventory.networks.some((known) => known.id === network.id) ? text : addNetwork(text, network);
  await editSite(site.folder, edit, options);
}

/** Readable, and different for every site, file and object: `office-3f2a1c`. */
function newId(inventory: Inventory, file: string, object: string | undefined): string {
  const stem = path.posix.basename(file).replace(/\.cvl$/i, "");
  const readable = (object ?? stem)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 24);
  for (let attempt = 0; ; attempt++) {
    const hash = createHash("sha256")
      .update([inventory.site ?? [], file, object ?? "", attempt].flat().join("\0"))
      .digest("hex")
      .slice(0, 6);
    const id = readable === "" ? hash : `${readable}-${hash}`;
    if (!inventory.networks.some((network) => network.id === id)) return id;
  }
}
