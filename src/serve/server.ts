/** `cui serve`: git and Git LFS over HTTP for the bare repositories below one folder. */
import { realpath, stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { visible } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import { createAccess } from "./access.ts";
import { answer, type Service } from "./answer.ts";
import { createBodyMemory } from "./body-memory.ts";
import { refuseCrumbs } from "./crumbs.ts";
import { discardRest, LFS_MEDIA_TYPE, type Exchange } from "./exchange.ts";
import { endProgram } from "./git-backend.ts";
import { createGranter } from "./grant.ts";
import { DEFAULT_LIMITS, type ServeLimits } from "./limits.ts";
import { createPeers, type Peers } from "./peers.ts";
import { processSlots } from "./process-slots.ts";
import { Refusal } from "./refusal.ts";
import { readTokens } from "./token-file.ts";

export interface ServeOptions {
  /** Bare repositories in it and below it are served. */
  readonly folder: string;
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  readonly isWritable?: boolean | undefined;
  readonly isPrivate?: boolean | undefined;
  readonly tokensFile?: string | undefined;
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  /** The address clients use when a proxy stands before the server. */
  readonly publicUrl?: string | undefined;
  readonly limits?: Partial<ServeLimits> | undefined;
  /** One line a request, and warnings. Never a token. */
  readonly log: (line: string) => void;
}

export interface RepositoryServer {
  readonly url: string;
  /** No new requests; those that run end, or are ended after a while; nothing started here is left. */
  close(): Promise<void>;
}

/** @throws CollectiveError SERVE_FOLDER_MISSING, SERVE_LISTEN_FAILED, SERVE_TLS_INVALID, SERVE_TOKENS_INVALID */
export async function serveRepositories(options: ServeOptions): Promise<RepositoryServer> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const service = await createService(options, limits);
  const server = createHttpServer(options, limits);
  const { maxConnections } = limits;
  const perAddress = isSharedByAddress(options) ? Math.ceil(maxConnections / 4) : maxConnections;
  const peers = createPeers({ ...limits, maxConnectionsPerAddress: perAddress });
  server.on("connection", (socket: Socket) => {
    peers.admit(socket);
  });
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    refuseCrumbs(request);
    const peer = peers.begin({ request, response });
    if (peer !== undefined) void handle({ request, response, peer }, service, options.log);
  });
  const watch = watchPace(peers, service, options.log);
  await listen(server, options);
  const stop = async (): Promise<void> => {
    await close(server, service);
    clearInterval(watch);
  };
  return { url: urlOf(server, options), close: stop };
}

/** Ends who is too slow, and who holds a place that others have waited for. */
function watchPace(peers: Peers, { slots, limits }: Service, log: (line: string) => void): NodeJS.Timeout {
  const periodMs = Math.min(1000, limits.paceWindowMs / 4, limits.patienceMs / 4);
  return setInterval(() => {
    peers.check((address) => {
      const least = `${limits.leastBytesPerSecond} bytes/s for ${limits.paceWindowMs} ms`;
      log(`${new Date().toISOString()} ${address} - closed: less than ${least}`);
    });
    slots.read.relieve(limits);
    slots.push.relieve(limits);
  }, periodMs).unref();
}

/** Behind a proxy all clients have one address. */
function isSharedByAddress({ publicUrl }: ServeOptions): boolean {
  return publicUrl === undefined;
}

async function createService(options: ServeOptions, limits: ServeLimits): Promise<Service> {
  const root = await realpath(options.folder).catch(() => undefined);
  if (root === undefined || !(await stat(root)).isDirectory()) {
    throw new CollectiveError("SERVE_FOLDER_MISSING", `there is no folder ${options.folder}`, {
      hint: "name the folder that holds the repositories; `cui create <folder>/<name>` makes one",
    });
  }
  // A mistake in the file is told now, not to the first client.
  if (options.tokensFile !== undefined) await readTokens(options.tokensFile);
  const granter = createGranter();
  const isShared = isSharedByAddress(options);
  return {
    root,
    access: createAccess({
      tokensFile: options.tokensFile,
      isPrivate: options.isPrivate ?? false,
      isWritable: options.isWritable ?? false,
      granter,
      warn: (message) => {
        options.log(`warning: ${visible(message)}`);
      },
    }),
    granter,
    slots: {
      read: processSlots({ running: limits.maxProcesses, waiting: limits.maxWaiting, isShared }),
      push: processSlots({ running: limits.maxPushes, waiting: limits.maxWaiting, isShared }),
    },
    bodyMemory: createBodyMemory({
      ...limits,
      maxBytes: limits.maxBodyMemoryBytes,
      maxBytesOfOne: limits.maxBodyMemoryBytes / (isShared ? 2 : 1),
    }),
    limits,
    running: new Set(),
    publicUrl: options.publicUrl?.replace(/\/+$/, ""),
    isTls: options.tls !== undefined,
  };
}

function createHttpServer({ tls }: ServeOptions, limits: ServeLimits): Server {
  const settings = {
    headersTimeout: limits.headersTimeoutMs,
    connectionsCheckingInterval: Math.min(5000, limits.headersTimeoutMs),
    requestTimeout: 0, // large uploads take their time; the idle timeout ends those that stand still
    keepAliveTimeout: limits.keepAliveTimeoutMs,
  };
  try {
    const handshakeTimeout = limits.headersTimeoutMs;
    const server =
      tls === undefined ? createServer(settings) : createTlsServer({ ...settings, ...tls, handshakeTimeout });
    server.timeout = limits.idleTimeoutMs;
    return server;
  } catch (error) {
    throw new CollectiveError("SERVE_TLS_INVALID", "the certificate or its key cannot be used", {
      hint: "--tls-cert and --tls-key name PEM files that belong together",
      cause: error,
    });
  }
}

async function listen(server: Server, { host, port }: ServeOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => {
      reject(
        new CollectiveError("SERVE_LISTEN_FAILED", `cannot listen on ${host}:${port}: ${error.message}`, {
          hint: "--listen names another address or port",
          cause: error,
        }),
      );
    });
    server.listen(port, host, resolve);
  });
}

function urlOf(server: Server, { host, tls }: ServeOptions): string {
  const { port } = server.address() as AddressInfo;
  return `${tls === undefined ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

async function handle(exchange: Exchange, service: Service, log: (line: string) => void): Promise<void> {
  const { response } = exchange;
  const startedAt = performance.now();
  let name: string | undefined;
  let problem: unknown;
  response.on("error", () => undefined); // the client went away
  try {
    await answer(exchange, service, (caller) => (name = caller.name));
  } catch (error) {
    problem = error;
    refuse(exchange, error);
  }
  if (!response.closed) await new Promise<void>((resolve) => response.once("close", resolve));
  log(logLine(exchange, { name, problem, startedAt }));
}

function refuse({ request, response }: Exchange, error: unknown): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const refusal = error instanceof Refusal ? error : new Refusal(500, "the server failed");
  const isLfs = request.url?.includes("/info/lfs/") === true;
  const body = isLfs ? JSON.stringify({ message: refusal.message }) : `${refusal.message}\n`;
  response.writeHead(refusal.status, {
    ...refusal.headers,
    "Content-Type": isLfs ? LFS_MEDIA_TYPE : "text/plain; charset=utf-8",
    "Content-Length": Buffer.byteLength(body),
    "X-Content-Type-Options": "nosniff",
    // The rest of the request was not read: the connection cannot be used again.
    ...(request.complete ? {} : { Connection: "close" }),
  });
  response.end(body);
  if (!request.complete) discardRest(request);
}

function logLine(
  { request, response }: Exchange,
  { name, problem, startedAt }: { name: string | undefined; problem: unknown; startedAt: number },
): string {
  const [path = ""] = (request.url ?? "").split("?", 1);
  const why = problem === undefined ? "" : ` "${problem instanceof Error ? problem.message : "failed"}"`;
  const cut = response.writableFinished ? "" : " cut";
  return visible(
    `${new Date().toISOString()} ${request.socket.remoteAddress ?? "-"} ${name ?? "-"} ` +
      `${request.method ?? "-"} ${path.slice(0, 300)} ${response.statusCode}${cut} ` +
      `${(performance.now() - startedAt).toFixed(0)}ms${why.slice(0, 500)}`,
  );
}

async function close(server: Server, service: Service): Promise<void> {
  const closed = new Promise<void>((resolve) =>
    server.close(() => {
      resolve();
    }),
  );
  // A connection that is kept alive becomes idle only when its request has ended.
  const sweeper = setInterval(() => {
    server.closeIdleConnections();
  }, 50);
  const timer = setTimeout(() => {
    for (const program of service.running) endProgram(program);
    server.closeAllConnections();
  }, service.limits.stopGraceMs);
  await closed;
  clearInterval(sweeper);
  clearTimeout(timer);
  // A push whose client went away may still run its hooks.
  for (const program of service.running) endProgram(program);
  await Promise.all([...service.running].map((program) => program.ended));
}
