/** Connections to unix sockets. */
import net from "node:net";
import { requireSocketPath } from "./host-address.ts";

/**
 * Resolves to the open connection; rejects with the system's error (ENOENT, ECONNREFUSED, EACCES).
 * @throws CollectiveError HOST_ADDRESS_INVALID for a path that is too long
 */
export async function connectUnixSocket(socketPath: string): Promise<net.Socket> {
  requireSocketPath(socketPath);
  return new Promise((resolve, reject) => {
    const socket = net.createConnection({ path: socketPath });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(socket);
    });
  });
}

/** Whether somebody listens. */
export async function canConnect(socketPath: string): Promise<boolean> {
  try {
    (await connectUnixSocket(socketPath)).destroy();
    return true;
  } catch {
    return false;
  }
}
