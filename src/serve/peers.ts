/**
 * The connections of a server, and how fast their clients are. Nobody may hold what others need by being slow: a client that is waited
 * for (the rest of its request, room for more of its answer) must move some bytes a second, and of too many connections those are
 * closed first for which nothing is being done.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { groupsOf, readSendQueues, type SendQueues } from "./send-queues.ts";
import type { ServeLimits } from "./limits.ts";

export interface Peer {
  /** Of one client, as far as can be told: an IPv4 address, the /64 of an IPv6 address. */
  readonly address: string;
  /** How fast its client was in the last `windowMs`. */
  pace(windowMs: number): Pace;
  /** Closes the connection at once. */
  end(): void;
}

export interface Pace {
  /** Whether it was mostly the client that was waited for; false until the request is as old as the window. */
  readonly isAwaited: boolean;
  readonly bytesPerSecond: number;
}

export interface Peers {
  /** A new connection: it is closed, or another one is, when there are too many. */
  admit(socket: Socket): void;
  /** The client of a request; undefined for one that sends the next request before the answer: its connection is closed. */
  begin(exchange: { readonly request: IncomingMessage; readonly response: ServerResponse }): Peer | undefined;
  /** Looks at all connections and closes those that are too slow; `onEnd` is told of each. To be called often: pace is told from it. */
  check(onEnd: (address: string) => void): void;
}

export type PeerLimits = Pick<
  ServeLimits,
  | "maxConnections"
  | "leastBytesPerSecond"
  | "paceWindowMs"
  | "patienceMs"
  | "keepAliveTimeoutMs"
  | "headersTimeoutMs"
> & {
  /** Of one address; behind a proxy all clients have one. */
  readonly maxConnectionsPerAddress: number;
};

interface Connection extends Peer {
  /** Of the present request; before it the connection's own. */
  socket: Socket;
  exchange: { readonly request: IncomingMessage; readonly response: ServerResponse } | undefined;
  /** Since it was opened, or the present request began, or the last one was answered. */
  since: number;
  /** Of the present request, the oldest first. */
  samples: Sample[];
}

interface Sample {
  readonly atMs: number;
  readonly bytes: number;
  /** Bytes given to the kernel that its client does not have yet. */
  readonly queuedBytes: number;
  readonly isAwaited: boolean;
}

export function createPeers(limits: PeerLimits): Peers {
  const connections = new Map<string, Connection>();
  const keepMs = Math.max(limits.paceWindowMs, limits.patienceMs);
  let checkedAt = performance.now();
  return {
    admit: (socket) => {
      const peer = openConnection(socket);
      const key = keyOf(socket);
      const same = [...connections.values()].filter(({ address }) => address === peer.address);
      if (same.length >= limits.maxConnectionsPerAddress) makeRoom(same, peer);
      else if (connections.size >= limits.maxConnections) makeRoom([...connections.values()], peer);
      connections.set(key, peer);
      socket.once("close", () => {
        if (connections.get(key) === peer) connections.delete(key);
      });
    },
    begin: (exchange) => {
      const { socket } = exchange.request;
      const peer = connections.get(keyOf(socket)) ?? openConnection(socket);
      if (peer.exchange?.response.writableFinished === false) {
        socket.destroy();
        return undefined;
      }
      Object.assign(peer, { socket, exchange });
      restart(peer);
      exchange.response.once("close", () => {
        if (peer.exchange !== exchange) return;
        Object.assign(peer, { exchange: undefined, since: performance.now() });
      });
      return peer;
    },
    check: (onEnd) => {
      const now = performance.now();
      // When this process itself stood still, nobody was waited for.
      const stoodStill = now - checkedAt > Math.min(limits.paceWindowMs, limits.patienceMs) / 2;
      checkedAt = now;
      if (!stoodStill) endUnused(connections.values(), limits);
      const active = [...connections.values()].filter(({ exchange }) => exchange !== undefined);
      const queues = active.some(({ socket }) => socket.writableLength > 0) ? readSendQueues() : undefined;
      for (const peer of active) {
        if (stoodStill) restart(peer);
        else takeSample(peer, keepMs, queues);
        const { isAwaited, bytesPerSecond } = peer.pace(limits.paceWindowMs);
        if (!isAwaited || bytesPerSecond >= limits.leastBytesPerSecond) continue;
        peer.end();
        onEnd(peer.address);
      }
    },
  };
}

/** Empty lines before a request are no request: Node would wait for it as long as they come. */
function endUnused(
  connections: Iterable<Connection>,
  { keepAliveTimeoutMs, headersTimeoutMs }: PeerLimits,
): void {
  const oldest = performance.now() - keepAliveTimeoutMs - headersTimeoutMs;
  for (const peer of connections) if (peer.exchange === undefined && peer.since < oldest) peer.end();
}

function openConnection(socket: Socket): Connection {
  const peer: Connection = {
    address: addressOf(socket),
    ...{ socket, exchange: undefined, since: performance.now(), samples: [] },
    pace: (windowMs) => paceOf(peer.samples, windowMs),
    end: () => {
      peer.socket.destroy();
    },
  };
  return peer;
}

function restart(peer: Connection): void {
  peer.since = performance.now();
  peer.samples = [sampleOf(peer)];
}

/** The oldest sample kept is the last one that is as old as `keepMs`. */
function takeSample(peer: Connection, keepMs: number, queues: SendQueues | undefined): void {
  const sample = sampleOf(peer, queues?.of(peer.socket));
  peer.samples.push(sample);
  const young = peer.samples.findIndex(({ atMs }) => sample.atMs - atMs < keepMs);
  if (young > 1) peer.samples.splice(0, young - 1);
}

function sampleOf(peer: Connection, queuedBytes = 0): Sample {
  return { atMs: performance.now(), bytes: movedBytes(peer), queuedBytes, isAwaited: isAwaited(peer) };
}

function paceOf(samples: readonly Sample[], windowMs: number): Pace {
  const last = samples.at(-1);
  const from = samples.findLastIndex(({ atMs }) => (last?.atMs ?? 0) - atMs >= windowMs);
  const first = samples[Math.max(0, from)];
  if (first === undefined || last === undefined || first === last)
    return { isAwaited: false, bytesPerSecond: 0 };
  const inWindow = samples.slice(Math.max(0, from) + 1);
  const awaited = inWindow.filter((sample) => sample.isAwaited).length;
  return {
    isAwaited: from !== -1 && awaited * 2 > inWindow.length,
    bytesPerSecond: ((takenBytes(last) - takenBytes(first)) * 1000) / (last.atMs - first.atMs),
  };
}

function takenBytes({ bytes, queuedBytes }: Sample): number {
  return bytes - queuedBytes;
}

/** What has left this process, and what has come. */
function movedBytes({ socket }: Connection): number {
  return socket.bytesRead + socket.bytesWritten - socket.writableLength;
}

/** Whether it is the client's turn: it owes the rest of its request, or does not take its answer. Headers have a limit of their own. */
function isAwaited({ socket, exchange }: Connection): boolean {
  if (exchange === undefined) return false;
  const { request } = exchange;
  return socket.writableLength > 0 || (!request.complete && request.readableLength === 0);
}

/** Closes one of `connections` for which nothing is being done, the slowest first; where there is none the new one. */
function makeRoom(connections: readonly Connection[], newcomer: Connection): void {
  const idle = connections
    .filter((peer) => !peer.socket.destroyed && (peer.exchange === undefined || isAwaited(peer)))
    .sort((a, b) => rank(a) - rank(b) || a.since - b.since);
  (idle[0] ?? newcomer).end();
}

/** Within its first second a request is not called slow. */
function rank(peer: Connection): number {
  if (peer.exchange === undefined) return -1;
  return performance.now() - peer.since < 1000 ? Infinity : peer.pace(Infinity).bytesPerSecond;
}

/** A connection over TLS has two sockets with the same ends. */
function keyOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress ?? ""} ${remotePort ?? 0}`;
}

function addressOf({ remoteAddress = "" }: Socket): string {
  const address = remoteAddress.replace(/^::ffff:(?=[0-9.]+$)/i, "").replace(/%.*$/, "");
  return address.includes(":") ? prefixOf(address) : address;
}

/** The first four groups: what one customer gets. */
function prefixOf(address: string): string {
  const groups = groupsOf(address).slice(0, 4);
  return `${groups.map((group) => group.toString(16)).join(":")}::/64`;
}
