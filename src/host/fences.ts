/** The highest fencing token of each network, remembered for good: a manager that lost its lease is refused. */
import { mkdir, open, readFile } from "node:fs/promises";
import path from "node:path";
import * as z from "zod";
import { CollectiveError } from "../errors.ts";
import { writeFileAtomically } from "../io.ts";
import type { Fence } from "./host.ts";
import { diskFullError } from "./machine-needs.ts";
import { networkFolder, type HostFolders } from "./machine-paths.ts";
import { createSerializer } from "./serialize.ts";

const fenceSchema = z.object({
  format: z.literal(1),
  token: z.int().nonnegative(),
  /** Absent until a manager that says its site has worked on the network. */
  site: z.string().optional(),
});

type KnownFence = Pick<z.infer<typeof fenceSchema>, "token" | "site">;

/** Checks a fence; a higher token is on disk before the call goes on. @throws CollectiveError HOST_FENCED */
export type FenceCheck = (fence: Fence) => Promise<void>;

export function createFenceCheck(folders: HostFolders): FenceCheck {
  const serialize = createSerializer();
  const known = new Map<string, KnownFence>();
  return ({ networkId, token, site }) =>
    serialize(networkId, async () => {
      const file = path.join(networkFolder(folders, networkId), "fence.json");
      const last = known.get(networkId) ?? (await readFence(file));
      if (last.site !== undefined && site !== undefined && site !== last.site)
        throw otherSite({ networkId, site, owner: last.site });
      if (token < last.token) throw fenced({ networkId, token, highest: last.token });
      const next: KnownFence = { token, site: site ?? last.site };
      if (token > last.token || next.site !== last.site) {
        await remember(file, JSON.stringify({ format: 1, ...next }));
      }
      known.set(networkId, next);
    });
}

/** @throws CollectiveError HOST_DISK_FULL */
async function remember(file: string, text: string): Promise<void> {
  try {
    await mkdir(path.dirname(file), { recursive: true });
    await writeFileAtomically(file, text);
  } catch (error) {
    if (!isFull(error)) throw error;
    // A full disk must not keep a machine from being stopped: in a file that is there, a few bytes need no room.
    if (!(await overwrite(file, text))) throw diskFullError(error);
  }
}

async function overwrite(file: string, text: string): Promise<boolean> {
  try {
    const handle = await open(file, "r+");
    try {
      const { size } = await handle.stat();
      await handle.write(text.padEnd(size), 0);
      await handle.sync();
      return true;
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (isFull(error) || (error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

function isFull(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT"].includes((error as NodeJS.ErrnoException).code ?? "");
}

/** The site a network belongs to, where the host was told; undefined where its file cannot be read, too. */
export async function knownSite(folders: HostFolders, networkId: string): Promise<string | undefined> {
  const file = path.join(networkFolder(folders, networkId), "fence.json");
  return (await readFence(file).catch(() => undefined))?.site;
}

function fenced(data: { networkId: string; token: number; highest: number }): CollectiveError {
  const { networkId, token, highest } = data;
  return new CollectiveError(
    "HOST_FENCED",
    `this host obeys token ${highest} of ${networkId}, not ${token}`,
    {
      data,
      hint: 'another manager has taken this network over since, or the state of this one was lost or is an old copy: docs/operations.md, "A lost state"',
    },
  );
}

function otherSite(data: { networkId: string; site: string; owner: string }): CollectiveError {
  const { networkId, site, owner } = data;
  return new CollectiveError(
    "HOST_OTHER_SITE",
    `the network ${networkId} on this host belongs to the site ${owner}, not to ${site}`,
    {
      data,
      hint:
        "work from that site's folder; where its utility.yaml was lost, `site: " +
        owner +
        "` in the new one says that it is the same",
    },
  );
}

/** Token -1 when the network is new here. A file that cannot be read is an error: guessing would let an old manager in. */
async function readFence(file: string): Promise<KnownFence> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { token: -1 };
    throw error;
  }
  try {
    return fenceSchema.parse(JSON.parse(text));
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
