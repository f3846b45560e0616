/** What one server lets clients have. */
import { availableParallelism } from "node:os";

export interface ServeLimits {
  /** git programs at once that read. */
  readonly maxProcesses: number;
  /** git programs at once that take a push. */
  readonly maxPushes: number;
  /** Requests that wait for a git program; more are told to come back. One address may be half of them. */
  readonly maxWaiting: number;
  /** One address may have a quarter of them. */
  readonly maxConnections: number;
  /** The pack of one push; disks do not go there, they are Git LFS objects. */
  readonly maxPushBytes: number;
  readonly maxObjectBytes: number;
  /**
   * Of all requests of git that are read before their program starts, the first 64 KiB of each aside. One address may have half of it;
   * where nothing is left, who is slower than fair loses what it has.
   */
  readonly maxBodyMemoryBytes: number;
  readonly headersTimeoutMs: number;
  /** Of a connection between two requests. */
  readonly keepAliveTimeoutMs: number;
  /** Of a connection on which no byte moves. */
  readonly idleTimeoutMs: number;
  /** What a client that is waited for must send, or take, on average over `paceWindowMs`. */
  readonly leastBytesPerSecond: number;
  readonly paceWindowMs: number;
  /** Who is slower than that, and for whom others have waited `patienceMs`, loses its place to them. */
  readonly fairBytesPerSecond: number;
  readonly patienceMs: number;
  /** For running requests when the server is told to end. */
  readonly stopGraceMs: number;
}

const PROCESSES = Math.min(32, Math.max(4, availableParallelism() * 2));

export const DEFAULT_LIMITS: ServeLimits = {
  maxProcesses: PROCESSES,
  maxPushes: PROCESSES,
  maxWaiting: 256,
  maxConnections: 1024,
  maxPushBytes: 512 * 1024 * 1024,
  maxObjectBytes: 4 * 1024 * 1024 * 1024,
  maxBodyMemoryBytes: 128 * 1024 * 1024,
  headersTimeoutMs: 30_000,
  keepAliveTimeoutMs: 15_000,
  idleTimeoutMs: 300_000,
  leastBytesPerSecond: 1024,
  paceWindowMs: 20_000,
  fairBytesPerSecond: 32 * 1024,
  patienceMs: 10_000,
  stopGraceMs: 30_000,
};
