/** Connections to unix sockets. */
import net from "node:net";

/** Resolves to the open connection; rejects with the system's error (ENOENT, ECONNREFUSED, EACCES). */
export function connectUnixSocket(socketPath: string): Promise<net.Socket> {
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
