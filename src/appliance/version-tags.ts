/** Which versions a repository has tags for. */
import type { Git } from "../git/git.ts";
import { listRefs } from "../git/refs.ts";
import { versionOfRef } from "./versions.ts";

/** Numbers, in no order. @throws CollectiveError as `listRefs`. */
export async function taggedVersions(
  git: Git,
  options: { readonly inHead?: boolean } = {},
): Promise<readonly number[]> {
  const refs = await listRefs(git, { ...options, pattern: "refs/tags/v*" });
  return refs.flatMap(({ name }) => versionOfRef(name) ?? []);
}
