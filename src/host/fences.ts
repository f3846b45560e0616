/** The highest fencing token of each network, remembered for good: a manager that lost its lease is refused. */
import { mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { CollectiveError } from "../errors.ts";
import { writeFileAtomically } from "../io.ts";
import type { Fence } from "./host.ts";
import { networkFolder, type HostFolders } from "./machine-paths.ts";
import { createSerializer } from "./serialize.ts";

const fenceSchema = z.object({ format: z.literal(1), token: z.int().nonnegative() });

/** Checks a fence; a higher token is on disk before the call goes on. @throws CollectiveError HOST_FENCED */
export type FenceCheck = (fence: Fence) => Promise<void>;

export function createFenceCheck(folders: HostFolders): FenceCheck {
  const serialize = createSerializer();
  const known = new Map<string, number>();
  return ({ networkId, token }) =>
    serialize(networkId, async () => {
      const file = path.join(networkFolder(folders, networkId), "fence.json");
      const highest = known.get(networkId) ?? (await readToken(file));
      if (token < highest) {
        throw new CollectiveError(
          "HOST_FENCED",
          `this host obeys token ${highest} of ${networkId}, not ${token}`,
          {
            data: { networkId, highest, token },
            hint: "another manager has taken this network over since; look at its state before going on",
          },
        );
      }
      if (token > highest) {
        await mkdir(path.dirname(file), { recursive: true });
        await writeFileAtomically(file, JSON.stringify({ format: 1, token }));
      }
      known.set(networkId, token);
    });
}

/** -1 when the network is new here. A file that cannot be read is an error: guessing would let an old manager in. */
async function readToken(file: string): Promise<number> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return -1;
    throw error;
  }
  try {
    return fenceSchema.parse(JSON.parse(text)).token;
  } catch (error) {
    throw new CollectiveError(
      "HOST_FENCED",
      `${file} cannot be read, so no manager can be trusted with this network`,
      {
        cause: error,
        hint: "restore the file, or remove it when you know that no other manager runs this network",
      },
    );
  }
}
