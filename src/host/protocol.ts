/**
 * The wire between manager and host: JSON-RPC 2.0 with Content-Length headers, over a unix socket or ssh's standard input and
 * output. The first request is `hello`; after it every method of the contract is a request with the same name, its
 * arguments in order, its result. An error carries code, message, hint and data of a CollectiveError.
 */
import type { Readable, Writable } from "node:stream";
import {
  createMessageConnection,
  ResponseError,
  StreamMessageReader,
  StreamMessageWriter,
  type MessageConnection,
} from "vscode-jsonrpc/node";
import * as z from "zod";
import { CollectiveError, type ErrorCode, messageOf } from "../errors.ts";
import { asFileError } from "../file-errors.ts";
import { HOST_PROTOCOL } from "./host.ts";

/** Protocol versions this release speaks. */
export const KNOWN_PROTOCOLS: readonly number[] = [HOST_PROTOCOL];

export const HELLO = "hello";
export const helloSchema = z.tuple([z.object({ protocols: z.array(z.int()).max(100) })]);
export const helloResultSchema = z.object({ protocol: z.int() });

const errorDataSchema = z.object({
  code: z.string().regex(/^[A-Z][A-Z0-9_]{2,60}$/),
  hint: z.string().optional(),
  data: z.record(z.string(), z.unknown()).optional(),
});

/** JSON-RPC's range for errors of the application. */
const APPLICATION_ERROR = -32000;

/** JSON-RPC on a pair of streams; `listen` is the caller's to call. */
export function createConnection(stream: {
  readonly input: Readable;
  readonly output: Writable;
}): MessageConnection {
  const reader = new StreamMessageReader(stream.input);
  reader.partialMessageTimeout = 0; // its timer would go on for ever after the end of half a message
  return createMessageConnection(reader, new StreamMessageWriter(stream.output));
}

/** The newest protocol both sides speak. @throws CollectiveError HOST_PROTOCOL_UNKNOWN */
export function agreeOnProtocol(theirs: readonly number[]): number {
  const common = KNOWN_PROTOCOLS.filter((protocol) => theirs.includes(protocol));
  if (common.length > 0) return Math.max(...common);
  throw new CollectiveError(
    "HOST_PROTOCOL_UNKNOWN",
    `manager and host share no protocol version: one speaks ${theirs.join(", ")}, the other ${KNOWN_PROTOCOLS.join(", ")}`,
    { hint: "adjacent releases of cui work together: upgrade the older side" },
  );
}

/** What goes over the wire; of an unexpected error only its message. */
export function toResponseError(thrown: unknown): ResponseError<unknown> {
  const error = asFileError(thrown) ?? thrown;
  if (error instanceof CollectiveError) {
    const { code, hint, data } = error;
    return new ResponseError(APPLICATION_ERROR, error.message, { code, hint, data });
  }
  return new ResponseError(APPLICATION_ERROR, messageOf(error));
}

/** The error as the host threw it; errors of the connection itself are left to the caller. */
export function fromResponseError(error: ResponseError<unknown>): CollectiveError {
  const parsed = errorDataSchema.safeParse(error.data);
  if (!parsed.success) {
    return new CollectiveError("HOST_FAILED", `the host manager failed: ${error.message}`, {
      hint: "its log on the host has more; this is a defect of cui",
    });
  }
  // A newer host may know codes this release does not: they are shown as they are.
  const { code, hint, data } = parsed.data;
  return new CollectiveError(code as ErrorCode, error.message, {
    ...(hint === undefined ? {} : { hint }),
    ...(data === undefined ? {} : { data }),
  });
}
