/** The host manager behind its unix socket, which only root can open. */
import { chmod } from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import { CollectiveError } from "../errors.ts";
import { takeFileLock, type FileLock } from "../file-lock.ts";
import { checkSocketPlace, removeSocket } from "../user-file.ts";
import type { HostManagerOptions } from "./host-context.ts";
import { requireSocketPath } from "./host-address.ts";
import { createHostManager } from "./host-manager.ts";
import { longestMachineSocket } from "./machine-paths.ts";
import { makePassable } from "./passable-folder.ts";
import { serveHost } from "./serve-host.ts";
import { canConnect } from "./unix-socket.ts";

export interface HostDaemonOptions extends HostManagerOptions {
  /** `/run/collective/host.sock` */
  readonly socket: string;
}

export interface HostDaemon {
  /** Stops listening; machines run on and are found again by the next one. */
  close(): Promise<void>;
}

/**
 * Resolves when the socket accepts connections.
 * @throws CollectiveError HOST_SOCKET_IN_USE when another host manager listens there, FILE_EXISTS when something else lies there.
 */
export async function runHostDaemon(options: HostDaemonOptions): Promise<HostDaemon> {
  requireSocketPath(options.socket);
  requireSocketPath(longestMachineSocket(options.folders));
  await checkSocketPlace(options.socket); // before anything of its folder is changed
  await makePassable(path.dirname(options.socket));
  const lock = await takeSocketLock(options.socket);
  try {
    return await startDaemon(options, lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Held as long as the daemon runs: of two that begin at once, one removes no socket of the other. */
async function takeSocketLock(socket: string): Promise<FileLock> {
  try {
    // Others may not even read it: whoever can open a file can lock it.
    return await takeFileLock({ file: `${socket}.lock`, purpose: "cui host serve", mode: 0o600, waitMs: 0 });
  } catch (error) {
    if (error instanceof CollectiveError && error.code === "FILE_LOCK_HELD") throw inUse(socket, error);
    throw error;
  }
}

function inUse(socket: string, cause?: CollectiveError): CollectiveError {
  return new CollectiveError("HOST_SOCKET_IN_USE", `a host manager listens on ${socket} already`, {
    hint: "one host manager serves a host; --socket names another socket",
    data: cause?.data ?? {},
    cause,
  });
}

async function startDaemon(options: HostDaemonOptions, lock: FileLock): Promise<HostDaemon> {
  if (await canConnect(options.socket)) throw inUse(options.socket); // one of a release that knew no lock
  await removeSocket(options.socket);
  const host = await createHostManager(options);
  const connections = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
    socket.on("error", () => socket.destroy());
    serveHost(host, { input: socket, output: socket });
  });
  await listen(server, options.socket);
  return {
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of connections) socket.destroy();
      await closed;
      await host.close();
      lock.release();
    },
  };
}

async function listen(server: net.Server, socketPath: string): Promise<void> {
  const before = process.umask(0o177); // nobody may connect between bind and chmod
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(socketPath, resolve);
    });
  } finally {
    process.umask(before);
  }
  await chmod(socketPath, 0o600);
}
