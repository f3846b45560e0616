/** One disk image, opened by qemu-nbd for this process alone: it ends with it, however that ends. */
import { rm } from "node:fs/promises";
import { createConnection, type Socket } from "node:net";
import { CollectiveError } from "../../errors.ts";
import { startProgram, stderrOf, type RunningProgram } from "../../io.ts";
import { openNbd, type NbdClient } from "./nbd-client.ts";

export interface QemuNbdOptions {
  /** Absolute. */
  readonly file: string;
  readonly format: "raw" | "qcow2";
  readonly writable: boolean;
  /** Made and removed; in a folder that only this user can open. */
  readonly socket: string;
}

export interface OpenedImage {
  readonly client: NbdClient;
  /** Resolves when qemu-nbd has let go of the file. A second time it does nothing. */
  close(): Promise<void>;
}

const EXPORT_NAME = "disk";
const POLL_MS = 10;

/** @throws CollectiveError DISK_NBD_FAILED, PROCESS_MISSING */
export async function openImage(options: QemuNbdOptions): Promise<OpenedImage> {
  await rm(options.socket, { force: true });
  const program = startProgram(command(options));
  try {
    const client = await openNbd(await connect(program, options.socket), EXPORT_NAME);
    return { client, close: once(() => end(program, client, options.socket)) };
  } catch (error) {
    program.kill("SIGKILL");
    await program.ended;
    await rm(options.socket, { force: true });
    throw error;
  }
}

/** qemu-nbd ends by itself after its one client; `setpriv` ends one that has none when this process is killed. */
function command({ file, format, writable, socket }: QemuNbdOptions): Parameters<typeof startProgram>[0] {
  const image = [
    `--format=${format}`,
    ...(writable ? ["--discard=unmap"] : ["--read-only"]),
    `--socket=${socket}`,
    `--export-name=${EXPORT_NAME}`,
    "--",
    file,
  ];
  return {
    file: "setpriv",
    args: ["--pdeathsig", "KILL", "--", "qemu-nbd", ...image],
    env: { LC_ALL: "C" },
  };
}

/** As soon as it listens. */
async function connect(program: RunningProgram, path: string): Promise<Socket> {
  let ended: CollectiveError | "ended" | undefined;
  void program.ended.then((error) => (ended = error ?? "ended"));
  for (;;) {
    const socket = await tryConnect(path);
    if (socket !== undefined) return socket;
    if (ended !== undefined) throw cannotOpen(ended);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function tryConnect(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.once("connect", () => {
      resolve(socket);
    });
    socket.once("error", () => {
      resolve(undefined);
    });
  });
}

function cannotOpen(error: CollectiveError | "ended"): CollectiveError {
  if (error !== "ended" && error.code === "PROCESS_MISSING") return error;
  const said = error === "ended" ? "" : (stderrOf(error).trim().split("\n").at(-1) ?? "");
  return new CollectiveError("DISK_NBD_FAILED", `qemu-nbd does not open the disk: ${said || "it ended"}`, {
    ...(error === "ended" ? {} : { cause: error }),
    data: { reason: undefined },
    hint: "something else may have the disk open, or it is damaged: qemu-img check says more",
  });
}

async function end(program: RunningProgram, client: NbdClient, socket: string): Promise<void> {
  client.close();
  await program.ended;
  await rm(socket, { force: true });
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= work());
}
