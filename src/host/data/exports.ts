/** The exports that are open on a host: read piece by piece, closed in any case. */
import { randomUUID } from "node:crypto";
import { statfs } from "node:fs/promises";
import { CollectiveError, messageOf } from "../../errors.ts";
import { nextStretch } from "../../disk/nbd/disk-chunks.ts";
import type { NbdClient } from "../../disk/nbd/nbd-client.ts";
import { diskFullError } from "../machine-needs.ts";
import { createSerializer } from "../serialize.ts";
import type { ExportPiece } from "./data-calls.ts";

/** A disk that is open for one export. */
export interface ExportedDisk {
  readonly client: NbdClient;
  close(): Promise<void>;
}

export interface NewExport {
  /** What it reads: whatever is done to that ends it. */
  readonly subject: string;
  readonly file: string;
  /** The scratch of a running machine grows in this folder. */
  readonly growsIn?: string | undefined;
  readonly open: () => Promise<ExportedDisk>;
}

export interface Exports {
  /** @throws CollectiveError HOST_EXPORT_BUSY, HOST_DISK_FULL; what `open` throws */
  add(what: NewExport): Promise<{ readonly exportId: string; readonly sizeBytes: number }>;
  /** @throws CollectiveError HOST_EXPORT_ENDED */
  read(exportId: string, offset: number): Promise<ExportPiece>;
  close(exportId: string): Promise<void>;
  /** Ends what reads this subject; `why` is told to whoever reads on. */
  endOf(subject: string, why: string): Promise<void>;
  isExported(file: string): boolean;
  isRead(subject: string): boolean;
  closeAll(): Promise<void>;
}

export interface ExportLimits {
  /** Nobody has read for so long. */
  readonly idleMs: number;
  readonly watchMs: number;
}

const DEFAULT_LIMITS: ExportLimits = { idleMs: 5 * 60_000, watchMs: 250 };
const MAX_EXPORTS = 16;
const REMEMBERED_ENDS = 100;
/** Room that is left to the guests: an export ends before its scratch takes it. */
const MAX_RESERVE_BYTES = 256 * 1024 * 1024;

interface OpenExport extends NewExport {
  readonly disk: ExportedDisk;
  idle: NodeJS.Timeout;
  readonly watch: NodeJS.Timeout | undefined;
  ahead: { readonly offset: number; readonly piece: Promise<Piece> } | undefined;
}

interface Piece extends ExportPiece {
  readonly nextOffset: number;
}

export function createExports(limits: ExportLimits = DEFAULT_LIMITS): Exports {
  const open = new Map<string, OpenExport>();
  /** Why those ended that were not closed by their reader. */
  const ends = new Map<string, CollectiveError>();
  const inTurn = createSerializer();
  let opening = 0;

  const end = async (exportId: string, why?: CollectiveError): Promise<void> => {
    const known = open.get(exportId);
    if (known === undefined) return;
    open.delete(exportId);
    clearTimeout(known.idle);
    clearInterval(known.watch);
    if (why !== undefined) remember(ends, exportId, why);
    await known.disk.close();
  };
  const endSoon = (exportId: string, why: CollectiveError): void => {
    void end(exportId, why).catch(() => undefined); // what is left is removed at the next start
  };
  const startIdle = (exportId: string): NodeJS.Timeout =>
    setTimeout(() => {
      endSoon(exportId, ended(`nobody read on for ${limits.idleMs / 1000} s`));
    }, limits.idleMs).unref();

  return {
    add: async (what) => {
      if (open.size + opening >= MAX_EXPORTS) throw busy(`${MAX_EXPORTS} exports of this host are open`);
      opening += 1;
      try {
        await requireRoom(what.growsIn);
        const disk = await what.open();
        const exportId = randomUUID();
        const watch = watchRoom(what.growsIn, limits.watchMs, (error) => {
          endSoon(exportId, error);
        });
        open.set(exportId, { ...what, disk, idle: startIdle(exportId), watch, ahead: undefined });
        return { exportId, sizeBytes: disk.client.sizeBytes };
      } finally {
        opening -= 1;
      }
    },
    read: (exportId, offset) =>
      inTurn(exportId, async () => {
        const known = open.get(exportId);
        if (known === undefined) throw ends.get(exportId) ?? ended("it is not open");
        clearTimeout(known.idle);
        known.idle = startIdle(exportId);
        const { client } = known.disk;
        try {
          const { nextOffset, ...piece } = await (known.ahead?.offset === offset
            ? known.ahead.piece
            : readPiece(client, offset));
          known.ahead = readAhead(client, nextOffset);
          return piece;
        } catch (error) {
          // What it was closed for says more than that the reading broke off.
          const reason = ends.get(exportId) ?? ended(messageOf(error));
          await end(exportId, reason).catch(() => undefined);
          throw reason;
        }
      }),
    close: (exportId) => end(exportId),
    endOf: async (subject, why) => {
      const found = [...open].filter(([, known]) => known.subject === subject);
      await Promise.all(found.map(([exportId]) => end(exportId, ended(why))));
    },
    isExported: (file) => [...open.values()].some((known) => known.file === file),
    isRead: (subject) => [...open.values()].some((known) => known.subject === subject),
    closeAll: async () => {
      await Promise.allSettled([...open.keys()].map((id) => end(id, ended("the host manager ends"))));
    },
  };
}

async function readPiece(client: NbdClient, offset: number): Promise<Piece> {
  const { start, end } = await nextStretch(client, offset);
  const data = start === end ? "" : (await client.read(start, end - start)).toString("base64");
  return { zeroBytes: start - offset, data, nextOffset: end };
}

/** While the reader writes what it got. */
function readAhead(client: NbdClient, offset: number): OpenExport["ahead"] {
  if (offset >= client.sizeBytes) return undefined;
  const piece = readPiece(client, offset);
  piece.catch(() => undefined); // told when it is asked for
  return { offset, piece };
}

async function requireRoom(folder: string | undefined): Promise<void> {
  if (folder !== undefined && (await lacksRoom(folder))) throw diskFullError(undefined);
}

function watchRoom(
  folder: string | undefined,
  periodMs: number,
  onFull: (error: CollectiveError) => void,
): NodeJS.Timeout | undefined {
  if (folder === undefined) return undefined;
  return setInterval(() => {
    void lacksRoom(folder).then(
      (lacks) => {
        if (lacks) onFull(diskFullError(undefined));
      },
      () => undefined, // the machine's folder went: the export ends with it
    );
  }, periodMs).unref();
}

async function lacksRoom(folder: string): Promise<boolean> {
  const { bavail, blocks, bsize } = await statfs(folder);
  return bavail * bsize < Math.min(MAX_RESERVE_BYTES, (blocks * bsize) / 10);
}

function remember(ends: Map<string, CollectiveError>, exportId: string, why: CollectiveError): void {
  ends.set(exportId, why);
  const [oldest] = ends.keys();
  if (ends.size > REMEMBERED_ENDS && oldest !== undefined) ends.delete(oldest);
}

function ended(why: string): CollectiveError {
  return new CollectiveError("HOST_EXPORT_ENDED", `the export has ended before its end: ${why}`, {
    data: { why },
    hint: "run the command again; the data on the host is as it was",
  });
}

export function busy(why: string): CollectiveError {
  return new CollectiveError("HOST_EXPORT_BUSY", why, {
    hint: "wait until that has ended, and run the command again",
  });
}
