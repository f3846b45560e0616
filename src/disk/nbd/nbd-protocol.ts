/**
 * Numbers and messages of NBD, the network block device protocol, as far as a client with structured replies needs them. All numbers are big-endian.
 *
 *     server: "NBDMAGIC" "IHAVEOPT" flags:16
 *     client: flags:32, then options: "IHAVEOPT" option:32 length:32 data
 *     server, to each option: REPLY_MAGIC option:32 type:32 length:32 data
 *     client: REQUEST_MAGIC flags:16 command:16 cookie:64 offset:64 length:32 data
 *     server: SIMPLE_MAGIC error:32 cookie:64
 *         or: CHUNK_MAGIC flags:16 type:16 cookie:64 length:32 payload, until a chunk has the flag DONE
 *
 * @see NBD doc/proto.md
 */

export const INIT_MAGIC = Buffer.from("NBDMAGIC");
export const OPTION_MAGIC = Buffer.from("IHAVEOPT");
export const REPLY_MAGIC = 0x3e889045565a9n;
const REQUEST_MAGIC = 0x25609513;
export const SIMPLE_MAGIC = 0x67446698;
export const CHUNK_MAGIC = 0x668e33ef;

/** NBD_FLAG_C_FIXED_NEWSTYLE and NBD_FLAG_C_NO_ZEROES. */
export const CLIENT_FLAGS = 3;
export const OPTION = { go: 7, structuredReply: 8, setMetaContext: 10 } as const;
export const REPLY = { ack: 1, info: 3, metaContext: 4, firstError: 0x80000000 } as const;
export const INFO_EXPORT = 0;
export const COMMAND = { read: 0, write: 1, disconnect: 2, flush: 3, blockStatus: 7 } as const;
export const CHUNK = { none: 0, data: 1, hole: 2, blockStatus: 5, firstError: 0x8000 } as const;
export const CHUNK_DONE = 1;
/** NBD_STATE_ZERO of the context `base:allocation`. */
export const STATE_ZERO = 2;
export const ALLOCATION_CONTEXT = "base:allocation";

export function encodeOption(option: number, data: Buffer): Buffer {
  const head = Buffer.alloc(16);
  OPTION_MAGIC.copy(head);
  head.writeUInt32BE(option, 8);
  head.writeUInt32BE(data.length, 12);
  return Buffer.concat([head, data]);
}

/** A text with its length before it. */
export function encodeText(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

export interface NbdRequest {
  readonly command: number;
  readonly cookie: bigint;
  readonly offset: number;
  readonly length: number;
}

export function encodeRequest({ command, cookie, offset, length }: NbdRequest): Buffer {
  const head = Buffer.alloc(28);
  head.writeUInt32BE(REQUEST_MAGIC, 0);
  head.writeUInt16BE(command, 6);
  head.writeBigUInt64BE(cookie, 8);
  head.writeBigUInt64BE(BigInt(offset), 16);
  head.writeUInt32BE(length, 24);
  return head;
}

/** The errors of the protocol are those of Linux. */
const ERRORS: Readonly<Record<number, string>> = {
  1: "EPERM",
  5: "EIO",
  12: "ENOMEM",
  22: "EINVAL",
  28: "ENOSPC",
  75: "EOVERFLOW",
  95: "ENOTSUP",
  108: "ESHUTDOWN",
};

export function errorName(code: number): string {
  return ERRORS[code] ?? `error ${code}`;
}
