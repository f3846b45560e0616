/** Objects of a Git LFS server as the disk layer reads them: single ranges, or the local copy where there is one. */
import { CollectiveError } from "../errors.ts";
import type { ObjectReader, ObjectStore, Oid } from "../disk/object-store.ts";
import type { PathStore } from "../disk/path-store.ts";
import { corruptPack } from "../disk/pack-format.ts";
import type { LfsPointer } from "./pointer.ts";
import { isCut } from "./download-object.ts";
import { getObject, type Getting } from "./get-object.ts";
import { unexpectedReply, unreachable } from "./lfs-errors.ts";

export interface RemoteStoreOptions {
  readonly getting: Getting;
  /** What there is, with sizes from the pointers: the server is not asked for them. */
  readonly objects: readonly LfsPointer[];
  /** Read first; objects the server will not send in parts go there. */
  readonly local: PathStore;
  /** Brings one whole object into `local`, once for all who want it. */
  readonly fetchWhole: (object: LfsPointer) => Promise<void>;
}

export function remoteStore(options: RemoteStoreOptions): ObjectStore {
  const sizes = new Map(options.objects.map((object) => [object.oid, object]));
  return {
    open: async (oid: Oid): Promise<ObjectReader> => {
      if (await options.local.has(oid)) return options.local.open(oid);
      const object = sizes.get(oid);
      if (object !== undefined) return openRemote(object, options);
      throw new CollectiveError("DISK_PACK_MISSING", `no pointer names the pack ${oid}`, {
        data: { pack: oid },
        hint: "the index and the pointers beside it come from different versions",
      });
    },
  };
}

function openRemote(object: LfsPointer, options: RemoteStoreOptions): ObjectReader {
  let whole: Promise<ObjectReader> | undefined;
  const openWhole = async (): Promise<ObjectReader> => {
    await options.fetchWhole(object);
    return options.local.open(object.oid);
  };
  return {
    sizeBytes: object.sizeBytes,
    read: async (offset, length) => {
      if (length === 0) return new Uint8Array(0);
      if (offset < 0 || offset + length > object.sizeBytes) {
        throw corruptPack(`it ends before byte ${offset + length}`, { pack: object.oid });
      }
      const bytes = whole === undefined ? await readPart(options.getting, object, offset, length) : undefined;
      if (bytes !== undefined) return bytes;
      whole ??= openWhole();
      whole.catch(() => (whole = undefined));
      return (await whole).read(offset, length);
    },
    close: async () => {
      await (await whole?.catch(() => undefined))?.close();
    },
  };
}

/** Undefined when the server sends whole objects only. */
async function readPart(
  getting: Getting,
  object: LfsPointer,
  offset: number,
  length: number,
): Promise<Uint8Array | undefined> {
  const bytes = new Uint8Array(length);
  let arrived = 0;
  for (let failures = 0; arrived < length;) {
    const got = await getObject(getting, object, { start: offset + arrived, end: offset + length });
    if (!got.isPart) {
      got.body.on("error", () => undefined).destroy();
      return undefined;
    }
    const before = arrived;
    let cause: unknown = new Error(`it ended too early`);
    try {
      for await (const piece of got.body as AsyncIterable<Buffer>) {
        if (arrived + piece.length > length)
          throw unexpectedReply(got.where, `with more than the ${length} bytes asked for`);
        bytes.set(piece, arrived);
        arrived += piece.length;
      }
    } catch (error) {
      if (!isCut(error)) throw error;
      cause = error;
    }
    if (arrived === length) break;
    failures = arrived > before ? 1 : failures + 1;
    await getting.http.pause(failures, unreachable(got.where, cause));
  }
  return bytes;
}
