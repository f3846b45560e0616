/** Fetches every pack of the newest version, as `cui disk verify` and a host do. */
import { openMirror } from "../../src/appliance/mirror.ts";
import type { Oid } from "../../src/disk/object-store.ts";
import type { Git } from "../../src/git/git.ts";

/** Resolves to the bytes fetched. */
export async function eachObject(
  git: Git,
  { url, cache }: { readonly url: string; readonly cache: string },
): Promise<number> {
  const mirror = await openMirror(url, { git, cache });
  try {
    await mirror.fetch();
    const commit = (await mirror.versions()).at(-1)?.commit ?? "";
    const packs = await mirror.files(commit).listFolder("disks/packs");
    const wanted = packs.map(({ name }) => ({ oid: name.slice(0, 64) as Oid, path: `disks/packs/${name}` }));
    return (await mirror.ensureObjects(commit, wanted)).fetchedBytes;
  } finally {
    await mirror.close();
  }
}
