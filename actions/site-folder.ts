/** The folder of a site in its repository as an input. */
import { visible } from "../src/diagnostics.ts";
import { CollectiveError } from "../src/errors.ts";
import { siteFolderOf } from "../src/forge/site-source.ts";
import type { InputReader } from "./inputs.ts";

/** From the top of the repository, which is `""`. @throws CollectiveError USAGE for what leads out of it. */
export function readSiteFolder(inputs: InputReader): string {
  const site = inputs.text("site") ?? ".";
  const folder = siteFolderOf(site);
  if (folder !== undefined) return folder;
  const message = `expected the folder of the site in its repository, got "${visible(site)}"`;
  throw new CollectiveError("USAGE", message, {
    hint: "write it from the top of the repository: sites/acme",
  });
}
