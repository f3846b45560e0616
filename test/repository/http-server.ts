/** git over HTTP on loopback: `git http-backend` behind a node server, and the Git LFS batch API for what it stores. */
import { spawn } from "node:child_process";
import { createReadStream, existsSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";

export interface GitServer {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  /** Paths that were asked for. */
  readonly requests: string[];
  close(): Promise<void>;
}

/** Serves every repository under `root` for reading and writing. */
export async function serveGit(root: string): Promise<GitServer> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(request.url ?? "");
    if (request.url?.includes("/info/lfs/") === true) void serveLfs(root, request, response);
    else serveBackend(root, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

function serveBackend(root: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url ?? "/", "http://localhost");
  const backend = spawn("git", ["http-backend"], {
    env: {
      ...process.env,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: "1",
      GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
      HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
      CONTENT_TYPE: request.headers["content-type"] ?? "",
      REMOTE_USER: "test",
      REQUEST_METHOD: request.method ?? "GET",
      PATH_INFO: decodeURIComponent(pathname),
      QUERY_STRING: search.slice(1),
    },
    stdio: ["pipe", "pipe", "ignore"],
  });
  backend.stdin.on("error", () => undefined);
  request.pipe(backend.stdin);
  let head = Buffer.alloc(0);
  const onData = (piece: Buffer): void => {
    head = Buffer.concat([head, piece]);
    const end = head.indexOf("\r\n\r\n");
    if (end === -1) return;
    backend.stdout.off("data", onData);
    const headers = head.toString("latin1", 0, end).split("\r\n");
    for (const line of headers) {
      const [name = "", value = ""] = line.split(/: (.*)/);
      if (name === "Status") response.statusCode = Number.parseInt(value, 10);
      else response.setHeader(name, value);
    }
    response.write(head.subarray(end + 4));
    backend.stdout.pipe(response);
  };
  backend.stdout.on("data", onData);
}

/** @see git-lfs docs/api/batch.md and docs/api/basic-transfers.md */
async function serveLfs(root: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname } = new URL(request.url ?? "/", "http://localhost");
  const match = /^(.*?)(\.git)?\/info\/lfs\/objects\/(.*)$/.exec(pathname);
  const folder = path.join(root, match?.[1] ?? "");
  const fileOf = (oid: string): string =>
    path.join(folder, "lfs/objects", oid.slice(0, 2), oid.slice(2, 4), oid);
  if (match === null) {
    response.writeHead(404).end(); // the locking API: git-lfs goes on without it
    return;
  }
  if (match[3] !== "batch") {
    createReadStream(fileOf(match[3] ?? "")).pipe(response);
    return;
  }
  const body: Buffer[] = [];
  for await (const piece of request) body.push(piece as Buffer);
  const { objects } = JSON.parse(Buffer.concat(body).toString()) as {
    objects: { oid: string; size: number }[];
  };
  const base = `http://${request.headers.host ?? ""}${match[1] ?? ""}/info/lfs/objects`;
  response.setHeader("Content-Type", "application/vnd.git-lfs+json");
  response.end(
    JSON.stringify({
      transfer: "basic",
      objects: objects.map(({ oid, size }) =>
        existsSync(fileOf(oid))
          ? { oid, size, actions: { download: { href: `${base}/${oid}` } } }
          : { oid, size, error: { code: 404, message: "no such object" } },
      ),
    }),
  );
}
