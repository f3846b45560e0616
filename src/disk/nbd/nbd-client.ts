/** A disk behind a unix socket that speaks NBD: QEMU's server in qemu-nbd, or in a machine that runs. */
import type { Socket } from "node:net";
import { CollectiveError, messageOf } from "../../errors.ts";
import { readBytes, type ByteReader } from "./byte-reader.ts";
import {
  ALLOCATION_CONTEXT,
  CHUNK,
  CHUNK_DONE,
  CHUNK_MAGIC,
  CLIENT_FLAGS,
  COMMAND,
  encodeOption,
  encodeRequest,
  encodeText,
  errorName,
  INFO_EXPORT,
  INIT_MAGIC,
  OPTION,
  REPLY,
  REPLY_MAGIC,
  SIMPLE_MAGIC,
  STATE_ZERO,
} from "./nbd-protocol.ts";

/** A run of bytes; `isZero` says that all of them are zero for sure. */
export interface DiskExtent {
  readonly lengthBytes: number;
  readonly isZero: boolean;
}

/** Requests are carried out one after the other. Every call throws DISK_NBD_FAILED, with `reason` (`ENOSPC`, `EIO`, …) in its data. */
export interface NbdClient {
  readonly sizeBytes: number;
  /** At most 32 MiB. */
  read(offset: number, lengthBytes: number): Promise<Buffer>;
  /** What lies from `offset` on: at least the first run, together at most `lengthBytes`. */
  extents(offset: number, lengthBytes: number): Promise<readonly DiskExtent[]>;
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** What was written is on the disk then. */
  flush(): Promise<void>;
  close(): void;
}

/** No reply is larger: a read of 32 MiB with its head. */
const MAX_REPLY_BYTES = 33 * 1024 * 1024;

/** The socket is the client's from here on. @throws CollectiveError DISK_NBD_FAILED */
export async function openNbd(socket: Socket, exportName: string): Promise<NbdClient> {
  const wire = { socket, reader: readBytes(socket) };
  try {
    const sizeBytes = await negotiate(wire, exportName);
    return createClient(wire, sizeBytes);
  } catch (error) {
    socket.destroy();
    throw nbdFailed(error);
  }
}

interface Wire {
  readonly socket: Socket;
  readonly reader: ByteReader;
}

async function negotiate(wire: Wire, exportName: string): Promise<number> {
  const greeting = await wire.reader.read(18);
  if (!greeting.subarray(0, 8).equals(INIT_MAGIC)) throw new Error("it does not speak NBD");
  const flags = Buffer.alloc(4);
  flags.writeUInt32BE(CLIENT_FLAGS);
  wire.socket.write(flags);
  await ask(wire, OPTION.structuredReply, Buffer.alloc(0));
  const name = encodeText(exportName);
  const oneQuery = Buffer.from([0, 0, 0, 1]);
  const contexts = await ask(
    wire,
    OPTION.setMetaContext,
    Buffer.concat([name, oneQuery, encodeText(ALLOCATION_CONTEXT)]),
  );
  if (!contexts.some(({ type }) => type === REPLY.metaContext)) throw new Error("it tells no allocation");
  const infos = await ask(wire, OPTION.go, Buffer.concat([name, Buffer.alloc(2)]));
  const info = infos.find(({ type, data }) => type === REPLY.info && data.readUInt16BE(0) === INFO_EXPORT);
  if (info === undefined) throw new Error("it tells no size");
  return Number(info.data.readBigUInt64BE(2));
}

interface OptionReply {
  readonly type: number;
  readonly data: Buffer;
}

/** The replies to one option before its acknowledgement. */
async function ask({ socket, reader }: Wire, option: number, data: Buffer): Promise<OptionReply[]> {
  socket.write(encodeOption(option, data));
  const replies: OptionReply[] = [];
  for (;;) {
    const head = await reader.read(20);
    const type = head.readUInt32BE(12);
    if (head.readBigUInt64BE(0) !== REPLY_MAGIC) throw new Error("it answers something else than NBD");
    const reply = await reader.read(bounded(head.readUInt32BE(16)));
    if (type >= REPLY.firstError) throw new Error(`it refuses: ${reply.toString("utf8").slice(0, 200)}`);
    if (type === REPLY.ack) return replies;
    replies.push({ type, data: reply });
  }
}

function createClient(wire: Wire, sizeBytes: number): NbdClient {
  let cookie = 0n;
  let last: Promise<unknown> = Promise.resolve();
  const request = (
    what: { readonly command: number; readonly offset: number; readonly length: number },
    payload?: Uint8Array,
  ): Promise<Answer> => {
    const answer = last.then(async () => {
      cookie += 1n;
      wire.socket.write(encodeRequest({ ...what, cookie }));
      if (payload !== undefined) wire.socket.write(payload);
      return readAnswer(wire.reader, { ...what, cookie });
    });
    last = answer.catch(() => undefined);
    return answer.catch((error: unknown) => {
      throw nbdFailed(error);
    });
  };
  return {
    sizeBytes,
    read: async (offset, length) => (await request({ command: COMMAND.read, offset, length })).data,
    extents: async (offset, length) =>
      (await request({ command: COMMAND.blockStatus, offset, length })).extents,
    write: async (offset, bytes) => {
      await request({ command: COMMAND.write, offset, length: bytes.length }, bytes);
    },
    flush: async () => {
      await request({ command: COMMAND.flush, offset: 0, length: 0 });
    },
    close: () => {
      wire.socket.end(encodeRequest({ command: COMMAND.disconnect, cookie: 0n, offset: 0, length: 0 }));
      wire.socket.destroySoon();
    },
  };
}

interface Answer {
  readonly data: Buffer;
  readonly extents: DiskExtent[];
}

interface Asked {
  readonly command: number;
  readonly offset: number;
  readonly length: number;
  readonly cookie: bigint;
}

async function readAnswer(reader: ByteReader, asked: Asked): Promise<Answer> {
  const answer: Answer = {
    data: Buffer.alloc(asked.command === COMMAND.read ? asked.length : 0),
    extents: [],
  };
  let failure: Error | undefined;
  let filledBytes = 0;
  for (let isDone = false; !isDone;) {
    const magic = (await reader.read(4)).readUInt32BE();
    if (magic === SIMPLE_MAGIC) {
      const head = await reader.read(12);
      requireCookie(head.readBigUInt64BE(4), asked);
      if (head.readUInt32BE(0) !== 0) throw new NbdError(head.readUInt32BE(0), "");
      return answer;
    }
    if (magic !== CHUNK_MAGIC) throw new Error("it answers something else than NBD");
    const head = await reader.read(16);
    requireCookie(head.readBigUInt64BE(4), asked);
    const payload = await reader.read(bounded(head.readUInt32BE(12)));
    const type = head.readUInt16BE(2);
    if (type >= CHUNK.firstError) failure ??= errorIn(payload);
    else filledBytes += takeChunk(type, payload, { asked, answer });
    isDone = (head.readUInt16BE(0) & CHUNK_DONE) !== 0;
  }
  if (failure !== undefined) throw failure;
  // Whatever it left out would be taken for zeros.
  if (filledBytes !== answer.data.length) throw new Error("it gave less than was asked for");
  return answer;
}

/** Gives the bytes of the read that this chunk told. */
function takeChunk(
  type: number,
  payload: Buffer,
  { asked, answer }: { readonly asked: Asked; readonly answer: Answer },
): number {
  if (type === CHUNK.blockStatus) {
    for (let at = 4; at + 8 <= payload.length; at += 8) {
      const isZero = (payload.readUInt32BE(at + 4) & STATE_ZERO) !== 0;
      answer.extents.push({ lengthBytes: payload.readUInt32BE(at), isZero });
    }
    return 0;
  }
  if (type !== CHUNK.data && type !== CHUNK.hole) return 0;
  const start = Number(payload.readBigUInt64BE(0)) - asked.offset;
  const length = type === CHUNK.hole ? payload.readUInt32BE(8) : payload.length - 8;
  if (start < 0 || start + length > answer.data.length) throw new Error("it gave what was not asked for");
  if (type === CHUNK.data) payload.copy(answer.data, start, 8);
  return length;
}

class NbdError extends Error {
  readonly reason: string;

  constructor(code: number, message: string) {
    super(message === "" ? errorName(code) : `${message} (${errorName(code)})`);
    this.reason = errorName(code);
  }
}

function errorIn(payload: Buffer): NbdError {
  const length = payload.readUInt16BE(4);
  return new NbdError(payload.readUInt32BE(0), payload.toString("utf8", 6, 6 + Math.min(length, 300)));
}

function requireCookie(cookie: bigint, asked: Asked): void {
  if (cookie !== asked.cookie) throw new Error("it answers what was not asked");
}

function bounded(length: number): number {
  if (length > MAX_REPLY_BYTES) throw new Error(`a reply of ${length} bytes`);
  return length;
}

function nbdFailed(error: unknown): unknown {
  if (error instanceof CollectiveError) return error;
  return new CollectiveError("DISK_NBD_FAILED", `the disk cannot be read or written: ${messageOf(error)}`, {
    cause: error,
    data: { reason: error instanceof NbdError ? error.reason : undefined },
    hint: "its file system, or the program that has the disk open, failed: see the log of its machine",
  });
}
