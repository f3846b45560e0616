/** Joins standard input and output with a unix socket: what `ssh host cui host connect` runs on the host. */
import type { Readable, Writable } from "node:stream";
import { CollectiveError, messageOf } from "../errors.ts";
import { connectUnixSocket } from "./unix-socket.ts";

/** Resolves when either side ends. @throws CollectiveError HOST_UNREACHABLE when nothing listens on the socket. */
export async function relayToSocket(
  socketPath: string,
  stream: { readonly input: Readable; readonly output: Writable },
): Promise<void> {
  const socket = await connectUnixSocket(socketPath).catch((error: unknown) => {
    const reason = messageOf(error);
    throw new CollectiveError("HOST_UNREACHABLE", `no host manager answers on ${socketPath}: ${reason}`, {
      cause: error,
      hint: "run `cui host serve` on the host, as root",
    });
  });
  await new Promise<void>((resolve) => {
    socket.on("close", resolve);
    socket.on("error", () => undefined); // "close" follows
    stream.output.on("error", () => socket.destroy());
    stream.input.pipe(socket);
    socket.pipe(stream.output);
  });
  stream.input.destroy();
}
