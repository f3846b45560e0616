/**
 * Standard output and standard error, whose reader may go away (`cui start | head`) and whose disk may be full. Neither cuts what
 * the command does in half: what cannot be written is left out, and a full disk is said at the end.
 */
import type { Writable } from "node:stream";

export interface Output {
  readonly write: (text: string) => void;
  /** Resolves when everything is out; to what went wrong, unless it is only that nobody reads any more. */
  readonly end: () => Promise<Error | undefined>;
}

export function openOutput(stream: Writable): Output {
  let failure: NodeJS.ErrnoException | undefined;
  stream.on("error", (error: NodeJS.ErrnoException) => {
    failure ??= error;
  });
  return {
    write: (text) => {
      if (failure === undefined) stream.write(text);
    },
    end: async () => {
      // What was written before is out when this is, and what failed has failed.
      if (failure === undefined) await new Promise((resolve) => stream.write("", resolve));
      await new Promise((resolve) => setImmediate(resolve));
      return failure !== undefined && !GONE.has(failure.code ?? "") ? failure : undefined;
    },
  };
}

const GONE: ReadonlySet<string> = new Set(["EPIPE", "ECONNRESET", "ERR_STREAM_DESTROYED"]);
