/** Where a site lies: its folder in the repository, and what its URL means for what it may import. */
import path from "node:path";
import { visible } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import { isLocal, isRefusedUrl, parseUrl } from "../git/url.ts";
import type { Inventory } from "../site/inventory.ts";

const FOLDER = /^[A-Za-z0-9][A-Za-z0-9._-]*(\/[A-Za-z0-9][A-Za-z0-9._-]*)*$/;

/** `.` is the top, `""`. @throws CollectiveError USAGE for what leads out of the repository. */
export function siteFolderOf(site: string): string {
  const folder = path.posix.normalize(site).replace(/\/+$/, "");
  if (folder === "." || folder === "") return "";
  if (FOLDER.test(folder)) return folder;
  throw new CollectiveError(
    "USAGE",
    `expected the folder of the site in its repository, got "${visible(site)}"`,
    {
      hint: "write it from the top of the repository: sites/acme",
    },
  );
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
