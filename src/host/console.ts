/** A terminal on a machine's serial console. */
import type { Readable, Writable } from "node:stream";
import type { ReadStream } from "node:tty";
import { CollectiveError } from "../errors.ts";
import { connectUnixSocket } from "./unix-socket.ts";

/** Ctrl-], as telnet and virsh have it. */
const ESCAPE = 0x1d;

export interface ConsoleStreams {
  /** A terminal is switched to raw mode while attached. */
  readonly input: Readable & Partial<Pick<ReadStream, "isTTY" | "setRawMode">>;
  readonly output: Writable;
}

/**
 * Attaches until Ctrl-] is typed, the input ends, or the machine does; resolves to which. What the guest writes goes to
 * the terminal as it is, as with any serial console.
 * @throws CollectiveError HOST_MACHINE_UNKNOWN when nothing listens on the socket.
 */
export async function attachConsole(
  socketPath: string,
  { input, output }: ConsoleStreams,
): Promise<"detached" | "machine-ended"> {
  const socket = await connectUnixSocket(socketPath).catch((error: unknown) => {
    throw new CollectiveError("HOST_MACHINE_UNKNOWN", `no console answers on ${socketPath}`, {
      cause: error,
      hint: "the machine may have just ended; cui status shows it",
    });
  });
  const isTerminal = input.isTTY === true;
  if (isTerminal) input.setRawMode?.(true);
  try {
    return await new Promise((resolve) => {
      socket.on("data", (chunk: Buffer) => output.write(chunk));
      socket.on("error", () => undefined); // "close" follows
      socket.on("close", () => {
        resolve("machine-ended");
      });
      input.on("end", () => {
        resolve("detached");
      });
      input.on("data", (chunk: Buffer) => {
        const escape = chunk.indexOf(ESCAPE);
        socket.write(escape === -1 ? chunk : chunk.subarray(0, escape));
        if (escape !== -1) resolve("detached");
      });
    });
  } finally {
    if (isTerminal) input.setRawMode?.(false);
    input.pause();
    input.removeAllListeners("data");
    socket.destroySoon();
  }
}
