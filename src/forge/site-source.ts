/** Where a site lies: its folder in the repository, and what its URL means for what it may import. */
import path from "node:path";
import { isLocal, isRefusedUrl, parseUrl } from "../git/url.ts";
import type { Inventory } from "../site/inventory.ts";

const FOLDER = /^[A-Za-z0-9][A-Za-z0-9._-]*(\/[A-Za-z0-9][A-Za-z0-9._-]*)*$/;

/** From the top of the repository, which is `""`; undefined for what leads out of it. */
export function siteFolderOf(site: string): string | undefined {
  const folder = path.posix.normalize(site).replace(/\/+$/, "");
  if (folder === "." || folder === "") return "";
  return FOLDER.test(folder) ? folder : undefined;
}

/**
 * A site that came over the network imports no paths of this machine, unless its policy names some. One whose own repository is
 * a path lies beside the repositories it imports.
 */
export function refusesPaths(siteUrl: string, { allow }: Inventory): boolean {
  const isPath = (url: string): boolean => {
    const parsed = parseUrl(url);
    return !isRefusedUrl(parsed) && isLocal(parsed);
  };
  return !isPath(siteUrl) && !(allow ?? []).some(isPath);
}
