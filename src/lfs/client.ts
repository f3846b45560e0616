/** A Git LFS client for one repository: downloads, ranges and uploads over the batch API. */
import { stat } from "node:fs/promises";
import pLimit from "p-limit";
import type { ObjectStore, Oid } from "../disk/object-store.ts";
import type { PathStore } from "../disk/path-store.ts";
import type { Git } from "../git/git.ts";
import { reachedUrl } from "../git/reached-url.ts";
import { objectMissing } from "./local-store.ts";
import type { LfsPointer } from "./pointer.ts";
import { openApi, type LfsApi } from "./api.ts";
import { askBatch, BATCH_SIZE, type BatchedObject } from "./batch.ts";
import { downloadLinks } from "./download-links.ts";
import { downloadObject } from "./download-object.ts";
import { findEndpoint } from "./endpoint.ts";
import type { Getting } from "./get-object.ts";
import { gitHttpSettings } from "./http-settings.ts";
import { openHttp, type HttpSettings, type LfsHttp } from "./http.ts";
import { statusError } from "./lfs-errors.ts";
import { remoteStore } from "./remote-store.ts";
import { uploadObject } from "./upload-object.ts";

export interface LfsClientOptions {
  /** Normalised URL of the repository: https, http, ssh or `user@host:path`. */
  readonly url: string;
  /** Whose configuration counts (helpers, certificates), beside the user's. */
  readonly git: Git;
  readonly http?: Partial<HttpSettings>;
}

export interface LfsClient {
  /**
   * Fetches the objects that `store` lacks, some at a time; resolves to the bytes fetched.
   * @throws CollectiveError REPOSITORY_OBJECT_MISSING, DISK_PACK_CORRUPT, LFS_*
   */
  download(objects: readonly LfsPointer[], store: PathStore): Promise<number>;
  /** Reads parts of objects; whole ones the server will not cut go to `local`. @throws as `download` */
  objectStore(objects: readonly LfsPointer[], local: PathStore): ObjectStore;
  /** Sends the objects that the server lacks; resolves to the bytes sent. @throws CollectiveError REPOSITORY_OBJECT_MISSING, LFS_* */
  upload(oids: readonly Oid[], store: PathStore): Promise<number>;
  close(): Promise<void>;
}

const TRANSFERS_AT_ONCE = 4;

/** Opens a client; the server is first asked when something is wanted of it. */
export function openLfsClient(options: LfsClientOptions): LfsClient {
  const opened = new Map<"download" | "upload", Promise<Connection>>();
  const connection = (operation: "download" | "upload"): Promise<Connection> => {
    const known = opened.get(operation) ?? connect(options, operation);
    opened.set(operation, known);
    return known;
  };
  const flights = new Map<Oid, Promise<void>>();
  const fetchWhole = (getting: Getting, object: LfsPointer, store: PathStore): Promise<void> => {
    const flight =
      flights.get(object.oid) ??
      downloadObject(getting, object, store).finally(() => flights.delete(object.oid));
    flights.set(object.oid, flight);
    return flight;
  };
  return {
    download: async (objects, store) => {
      const present = await Promise.all(objects.map(({ oid }) => store.has(oid)));
      const absent = objects.filter((_, index) => present[index] !== true);
      if (absent.length === 0) return 0;
      const { getting } = await connection("download");
      let bytes = 0;
      for (let from = 0; from < absent.length; from += BATCH_SIZE) {
        const group = absent.slice(from, from + BATCH_SIZE);
        // All links of the group in one call.
        const links = await Promise.allSettled(group.map((object) => getting.links.linkTo(object)));
        const refused = links.find((link) => link.status === "rejected");
        if (refused !== undefined) throw refused.reason;
        bytes += await transfer(group, async (object) => {
          await fetchWhole(getting, object, store);
          return object.sizeBytes;
        });
      }
      return bytes;
    },
    objectStore: (objects, local) => lazyStore(() => connection("download"), { objects, local, fetchWhole }),
    upload: async (oids, store) => uploadAll(await connection("upload"), { oids, store, where: options.url }),
    close: async () => {
      for (const result of await Promise.allSettled(opened.values())) {
        if (result.status === "fulfilled") await result.value.getting.http.close();
      }
    },
  };
}

interface Connection {
  readonly api: LfsApi;
  readonly getting: Getting;
}

async function connect(
  { url, git, http: given }: LfsClientOptions,
  operation: "download" | "upload",
): Promise<Connection> {
  const reached = await reachedUrl(git, url, operation === "upload" ? "push" : "fetch");
  const address = reached.kind === "local" ? reached.folder : reached.url;
  const endpoint = await findEndpoint(git, address, operation);
  const { extraHeaders, ...settings } = await gitHttpSettings(git, endpoint.url);
  const http: LfsHttp = openHttp({ ...settings, ...given });
  let first: typeof endpoint | undefined = endpoint;
  const api = openApi({
    ...{ http, git, extraHeaders },
    inUrl: reached.kind === "http" ? reached.credential : undefined,
    findEndpoint: () => {
      const found = first ?? findEndpoint(git, address, operation);
      first = undefined;
      return Promise.resolve(found);
    },
  });
  return { api, getting: { http, links: downloadLinks(api, url) } };
}

function lazyStore(
  connection: () => Promise<Connection>,
  {
    objects,
    local,
    fetchWhole,
  }: {
    objects: readonly LfsPointer[];
    local: PathStore;
    fetchWhole: (getting: Getting, object: LfsPointer, store: PathStore) => Promise<void>;
  },
): ObjectStore {
  return {
    open: async (oid) => {
      const { getting } = await connection();
      const store = remoteStore({
        ...{ getting, objects, local },
        fetchWhole: (object) => fetchWhole(getting, object, local),
      });
      return store.open(oid);
    },
  };
}

async function uploadAll(
  { api, getting: { http } }: Connection,
  { oids, store, where }: { oids: readonly Oid[]; store: PathStore; where: string },
): Promise<number> {
  const objects: LfsPointer[] = [];
  for (const oid of new Set(oids)) {
    if (!(await store.has(oid))) throw objectMissing(oid, where);
    objects.push({ oid, sizeBytes: (await stat(store.pathOf(oid))).size });
  }
  const answers = await askBatch(api, "upload", objects);
  const sizes = new Map(objects.map(({ oid, sizeBytes }) => [oid, sizeBytes]));
  return transfer(answers, async (first) => {
    const object = { oid: first.oid, sizeBytes: sizes.get(first.oid) ?? 0, file: store.pathOf(first.oid) };
    const ask = (): Promise<readonly BatchedObject[]> => askBatch(api, "upload", [object]);
    let answer: BatchedObject | undefined = isStale(first) ? (await ask())[0] : first;
    for (let tries = 1; answer?.actions.upload !== undefined; tries += 1) {
      const refused = await uploadObject(http, object, answer.actions);
      if (refused === undefined) return object.sizeBytes;
      if (tries > 1) throw refused.error;
      [answer] = await ask();
    }
    if (answer?.error === undefined) return 0; // the server has it
    const { code, message } = answer.error;
    throw statusError({ status: code, where: `${where} for ${object.oid}`, said: message });
  });
}

function isStale({ actions: { upload } }: BatchedObject): boolean {
  return upload !== undefined && Date.now() >= upload.renewAtMs;
}

/** Some at a time; after the first failure no more are started, and those that run end. */
async function transfer<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<number>,
): Promise<number> {
  const limit = pLimit(TRANSFERS_AT_ONCE);
  const failures: unknown[] = [];
  let bytes = 0;
  await Promise.all(
    items.map((item) =>
      limit(async () => {
        if (failures.length > 0) return;
        try {
          const moved = await work(item);
          bytes += moved;
        } catch (error) {
          failures.push(error);
        }
      }),
    ),
  );
  if (failures.length > 0) throw failures[0];
  return bytes;
}
