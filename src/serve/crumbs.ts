/** Bodies in chunks of a few bytes: each costs the server time and memory as a large one does, hundreds of bytes for one. */
import type { IncomingMessage } from "node:http";
import { Refusal } from "./refusal.ts";

/** So many may be small; of more the average counts. A packet of TCP carries twenty times as much. */
const FREE_CHUNKS = 1024;
const LEAST_CHUNK_BYTES = 64;

/**
 * Ends the connection of a request whose body comes in crumbs. It is looked at where Node hands it over, whoever reads it, or does not
 * yet: what waits is bounded by its bytes alone.
 */
export function refuseCrumbs(request: IncomingMessage): void {
  let chunks = 0;
  let bytes = 0;
  const push = request.push.bind(request);
  request.push = (chunk: Buffer | null, ...rest) => {
    chunks += 1;
    bytes += chunk?.length ?? 0;
    if (bytes >= (chunks - FREE_CHUNKS) * LEAST_CHUNK_BYTES || chunk === null) return push(chunk, ...rest);
    request.destroy(new Refusal(400, `expected chunks of ${LEAST_CHUNK_BYTES} bytes or more`));
    return false;
  };
}
