/** What one server lets clients have. */
import { availableParallelism } from "node:os";

export interface ServeLimits {
  /** git programs at once. */
  readonly maxProcesses: number;
  /** Requests that wait for a git program; more are told to come back. */
  readonly maxWaiting: number;
  readonly maxConnections: number;
  /** The pack of one push; disks do not go there, they are Git LFS objects. */
  readonly maxPushBytes: number;
  readonly maxObjectBytes: number;
  readonly headersTimeoutMs: number;
  /** Of a connection on which no byte moves. */
  readonly idleTimeoutMs: number;
  /** For running requests when the server is told to end. */
  readonly stopGraceMs: number;
}

export const DEFAULT_LIMITS: ServeLimits = {
  maxProcesses: Math.min(32, Math.max(4, availableParallelism() * 2)),
  maxWaiting: 256,
  maxConnections: 1024,
  maxPushBytes: 512 * 1024 * 1024,
  maxObjectBytes: 4 * 1024 * 1024 * 1024,
  headersTimeoutMs: 30_000,
  idleTimeoutMs: 300_000,
  stopGraceMs: 30_000,
};
