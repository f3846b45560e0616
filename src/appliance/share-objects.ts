/** Brings the Git LFS objects of an image into the mirrors, where other processes of this machine find them. */
import type { Git } from "../git/git.ts";
import { readIndex } from "./read-disk-index.ts";
import { openImageTree } from "./version-files.ts";
import type { MachineImage } from "./machine-image.ts";
import { withMirrors } from "./mirrors.ts";

export type ShareObjects = (image: MachineImage) => Promise<void>;

/**
 * Packs, kernel and initrd that are here already are not fetched again; each is verified by its SHA-256.
 * @throws CollectiveError as `Mirror.ensureObjects` and `readIndex`.
 */
export async function shareObjects(git: Git, image: MachineImage, cache?: string): Promise<void> {
  await withMirrors(
    git,
    async (mirrors) => {
      const tree = await openImageTree(image.source, mirrors);
      try {
        const boot = [image.kernel, image.initrd].filter((file) => file !== undefined);
        await tree.ensureObjects(boot);
        for (const { indexPath } of image.programDisks) {
          const { packs } = await readIndex(tree, indexPath);
          const folder = indexPath.slice(0, indexPath.lastIndexOf("/"));
          await tree.ensureObjects(packs.map(({ oid }) => ({ oid, path: `${folder}/packs/${oid}.pack` })));
        }
      } finally {
        await tree.close();
      }
    },
    { cache },
  );
}
