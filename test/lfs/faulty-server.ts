/** A Git LFS server that can be told to do anything wrong. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Test } from "tap";

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export interface FaultyServer {
  /** Of the repository. */
  readonly url: string;
  readonly origin: string;
  /** Every request, in order. */
  readonly seen: Seen[];
  /** Answers `objects/batch`; replace it. By default each object has a link to `/o/<oid>`. */
  onBatch: (seen: Seen, response: ServerResponse) => void;
  /** Answers everything else. */
  onObject: (seen: Seen, response: ServerResponse) => void;
}

export interface AskedObject {
  readonly oid: string;
  readonly size: number;
}

export async function faultyServer(t: Test): Promise<FaultyServer> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      const { method = "", url = "", headers } = request;
      const one = { method, path: url, headers, body: Buffer.concat(pieces).toString() };
      seen.push(one);
      if (url.endsWith("/objects/batch")) faulty.onBatch(one, response);
      else faulty.onObject(one, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const faulty: FaultyServer = {
    ...{ url: `${origin}/DNS`, origin, seen },
    onBatch: (one, response) => {
      sendBatch(response, askedObjects(one), ({ oid }) => ({ download: { href: `${origin}/o/${oid}` } }));
    },
    onObject: (_, response) => {
      response.writeHead(404).end();
    },
  };
  return faulty;
}

export function askedObjects({ body }: Seen): readonly AskedObject[] {
  return (JSON.parse(body) as { objects: AskedObject[] }).objects;
}

/** An answer of the batch API. */
export function sendBatch(
  response: ServerResponse,
  objects: readonly AskedObject[],
  actionsOf: (object: AskedObject) => object,
): void {
  response.setHeader("Content-Type", "application/vnd.git-lfs+json");
  const answers = objects.map((object) => ({ ...object, actions: actionsOf(object) }));
  response.end(JSON.stringify({ transfer: "basic", objects: answers }));
}

/** Answers a range, or the whole, as it should be. */
export function sendContent({ headers }: Seen, response: ServerResponse, bytes: Buffer): void {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? "") ?? [];
  if (first === undefined) {
    response.writeHead(200, { "Content-Length": bytes.length }).end(bytes);
    return;
  }
  const part = bytes.subarray(Number(first), Number(last) + 1);
  response.writeHead(206, {
    "Content-Length": part.length,
    "Content-Range": `bytes ${first}-${last ?? ""}/${bytes.length}`,
  });
  response.end(part);
}
