/**
 * The host's end of the virtio-serial port `org.collective.guest` (docs/guest.md, "Channel"). The guest says HELLO=1 when it
 * opens the port and is sent the current set of parameters; it is sent the set again whenever it changes.
 */
import type { Socket } from "node:net";
import { createLineSplitter, parseGuestLine, type GuestMessage } from "./guest-lines.ts";
import { connectUnixSocket } from "./unix-socket.ts";

export interface GuestChannel {
  /** Sends the current set; while one is still on its way, once more after it, however often this is called. */
  sendSet(): void;
  close(): void;
}

export interface GuestChannelOptions {
  readonly socketPath: string;
  /** The message to send, read anew each time; undefined when there is none. */
  readSet(): Promise<string | undefined>;
  onMessage(message: GuestMessage): void;
  /** QEMU ended, or let go of the connection; not called after `close`. */
  onClosed(): void;
}

/** What a guest may say in a tenth of a second; one that says more is made to wait. */
const BYTES_PER_WINDOW = 64 * 1024;
const WINDOW_MS = 100;

/** Connects to QEMU's socket; rejects when nothing listens there. */
export async function openGuestChannel(options: GuestChannelOptions): Promise<GuestChannel> {
  const socket = await connectUnixSocket(options.socketPath);
  const sender = createSender(socket, options);
  const split = createLineSplitter((line) => {
    const message = parseGuestLine(line);
    if (message?.kind === "hello") sender.send();
    if (message !== undefined) options.onMessage(message);
  });
  limitRate(socket, split);
  socket.on("error", () => undefined); // "close" follows
  socket.on("close", () => {
    options.onClosed();
  });
  return {
    sendSet: sender.send,
    close: () => {
      socket.removeAllListeners("close");
      socket.destroy();
    },
  };
}

/** A guest that says HELLO in a loop, or does not read, makes the host keep one set, not many. */
function createSender(socket: Socket, options: GuestChannelOptions): { send: () => void } {
  let sending = false;
  let again = false;
  const send = async (): Promise<void> => {
    const message = await options.readSet();
    if (message === undefined || socket.destroyed) return;
    await new Promise<void>((resolve) => {
      socket.once("close", resolve);
      socket.write(message, () => {
        socket.off("close", resolve);
        resolve();
      });
    });
  };
  const loop = async (): Promise<void> => {
    sending = true;
    try {
      do {
        again = false;
        await send();
      } while (wasAskedAgain() && !socket.destroyed);
    } catch {
      socket.destroy(); // the set cannot be read: the next connection tries again
    } finally {
      sending = false;
    }
  };
  const wasAskedAgain = (): boolean => again;
  return {
    send: () => {
      again = true;
      if (!sending) void loop();
    },
  };
}

function limitRate(socket: Socket, onChunk: (chunk: Uint8Array) => void): void {
  let windowStart = 0;
  let bytes = 0;
  socket.on("data", (chunk: Buffer) => {
    const now = Date.now();
    if (now - windowStart > WINDOW_MS) {
      windowStart = now;
      bytes = 0;
    }
    bytes += chunk.length;
    onChunk(chunk);
    if (bytes <= BYTES_PER_WINDOW) return;
    socket.pause();
    setTimeout(() => socket.resume(), WINDOW_MS).unref();
  });
}
