/** How many bytes a change will fetch, from the indexes alone. */
import pLimit from "p-limit";
import type { ComponentPath } from "../cvl/tree.ts";
import { CollectiveError } from "../errors.ts";
import type { NetworkDescription } from "../network/description.ts";
import { diskFetchBytes } from "../appliance/bytes-to-fetch.ts";
import type { MachineImage } from "../appliance/machine-image.ts";
import type { Mirrors } from "../appliance/mirrors.ts";

const PARALLEL = 4;

/**
 * For every machine whose image is new or changed. Counted against the machine's own image before; many machines of one image
 * are counted once each, since they may run on different hosts. What cannot be counted is left out.
 */
export async function forecastFetch(
  running: NetworkDescription | null,
  wanted: NetworkDescription,
  mirrors: Mirrors,
): Promise<ReadonlyMap<ComponentPath, number>> {
  const limit = pLimit(PARALLEL);
  const known = new Map<string, Promise<number | undefined>>();
  const counted = Object.values(wanted.machines).map(async ({ path, image }) => {
    const before =
      running !== null && Object.hasOwn(running.machines, path) ? running.machines[path] : undefined;
    if (before?.image.digest === image.digest) return [];
    const key = `${before?.image.digest ?? ""} ${image.digest}`;
    const bytes = known.get(key) ?? limit(() => countBytes(before?.image, image, mirrors));
    known.set(key, bytes);
    const number = await bytes;
    return number === undefined ? [] : [[path, number] as const];
  });
  return new Map((await Promise.all(counted)).flat());
}

async function countBytes(
  before: MachineImage | undefined,
  wanted: MachineImage,
  mirrors: Mirrors,
): Promise<number | undefined> {
  try {
    return await diskFetchBytes({ wanted, have: before === undefined ? [] : [before], mirrors });
  } catch (error) {
    if (error instanceof CollectiveError) return undefined;
    throw error;
  }
}
