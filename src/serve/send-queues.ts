/**
 * What this machine's kernel still has to send on each TCP connection. A program's writes end long before the client took the bytes: the
 * kernel keeps megabytes, and lets the program go on in steps of a third of them, so that a slow client would look like one that stands still.
 * @see proc(5), /proc/net/tcp
 */
import { closeSync, openSync, readSync } from "node:fs";
import { isIPv4 } from "node:net";
import type { Socket } from "node:net";

export interface SendQueues {
  /** Bytes its client has not acknowledged; undefined where that is not known. */
  of(socket: Socket): number | undefined;
}

/** Some 25,000 connections; of more, those beyond are not known. */
const MAX_TABLE_BYTES = 4 * 1024 * 1024;

export function readSendQueues(): SendQueues {
  const queues = new Map<string, number>();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const line of readTable(table).split("\n")) {
      const [, local = "", remote, , sizes = ""] = line.trim().split(/\s+/);
      const bytes = Number.parseInt(sizes, 16);
      if (bytes > 0) queues.set(`${local.split(":", 2)[1] ?? ""} ${remote ?? ""}`, bytes);
    }
  }
  return {
    of: ({ localPort, remoteAddress, remotePort }) =>
      localPort === undefined || remoteAddress === undefined || remotePort === undefined
        ? undefined
        : queues.get(`${hex(localPort)} ${addressInTable(remoteAddress)}:${hex(remotePort)}`),
  };
}

function hex(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, "0");
}

/** In words of four bytes, each the lowest byte first. */
function addressInTable(address: string): string {
  const bytes = isIPv4(address)
    ? address.split(".").map(Number)
    : groupsOf(address).flatMap((group) => [group >> 8, group & 255]);
  const words = Array.from({ length: bytes.length / 4 }, (_, at) =>
    bytes.slice(at * 4, at * 4 + 4).reverse(),
  );
  return Buffer.from(words.flat()).toString("hex").toUpperCase();
}

/** The eight groups of an IPv6 address, also of one that ends with an IPv4 address. */
export function groupsOf(address: string): readonly number[] {
  const plain = address
    .replace(/%.*$/, "")
    .replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...parts: string[]) => {
      const [a = 0, b = 0, c = 0, d = 0] = parts.slice(0, 4).map(Number);
      return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
    });
  const [head = [], tail = []] = plain.split("::", 2).map((part) => (part === "" ? [] : part.split(":")));
  const zeros = plain.includes("::") ? Array<string>(8 - head.length - tail.length).fill("0") : [];
  return [...head, ...zeros, ...tail].map((group) => Number.parseInt(group, 16));
}

function readTable(file: string): string {
  try {
    const descriptor = openSync(file, "r");
    try {
      const pieces: Buffer[] = [];
      for (let bytes = 0; bytes < MAX_TABLE_BYTES;) {
        const piece = Buffer.alloc(256 * 1024);
        const read = readSync(descriptor, piece);
        if (read === 0) break;
        bytes += read;
        pieces.push(piece.subarray(0, read));
      }
      return Buffer.concat(pieces).toString("latin1");
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return ""; // not Linux
  }
}
