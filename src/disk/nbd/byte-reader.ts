/** Reads a socket in pieces of known length. */
import type { Socket } from "node:net";

export interface ByteReader {
  /** Rejects when the other side ends before. */
  read(length: number): Promise<Buffer>;
}

/** More than anybody asks for at once: what comes beyond waits in the socket. */
const MAX_WAITING_BYTES = 40 * 1024 * 1024;

/** One `read` at a time, of at most 40 MiB. */
export function readBytes(socket: Socket): ByteReader {
  let pieces: Buffer[] = [];
  let available = 0;
  let ended: Error | undefined;
  let wake: () => void = () => undefined;
  socket.on("data", (piece: Buffer) => {
    pieces.push(piece);
    available += piece.length;
    if (available > MAX_WAITING_BYTES) socket.pause();
    wake();
  });
  const end = (error?: Error): void => {
    ended ??= error ?? new Error("the server ended the connection");
    wake();
  };
  socket.on("error", end);
  socket.on("close", () => {
    end();
  });
  return {
    read: async (length) => {
      while (available < length) {
        if (ended !== undefined) throw ended;
        await new Promise<void>((resolve) => (wake = resolve));
      }
      const whole = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
      const rest = whole.subarray(length);
      pieces = rest.length === 0 ? [] : [rest];
      available = rest.length;
      socket.resume();
      return whole.subarray(0, length);
    },
  };
}
