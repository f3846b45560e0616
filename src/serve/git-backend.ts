/**
 * git's smart protocol by `git http-backend`, one process a request, bodies streamed both ways.
 *
 * The program learns the repository from GIT_PROJECT_ROOT and one of three fixed paths: nothing a client names becomes an
 * argument or a path. Pushes run the repository's own hooks.
 *
 * @see git-http-backend(1); RFC 3875, "The Common Gateway Interface"
 */
import type { ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { RunningProgram } from "../io.ts";
import { startProgram } from "../io.ts";
import { gitServerCommand } from "../git/git.ts";
import { discardRest, piecesOf, type Exchange } from "./exchange.ts";
import { Refusal } from "./refusal.ts";
import type { GitService } from "./route.ts";

export interface GitRequest {
  /** The repository's real folder. */
  readonly folder: string;
  readonly service: GitService;
  /** `info/refs`, else the service itself. */
  readonly isAdvertisement: boolean;
  /** REMOTE_USER of hooks. */
  readonly name: string | undefined;
  readonly maxBodyBytes: number;
  /** Those that run, for whoever stops the server. */
  readonly running: Set<RunningProgram>;
}

const MAX_HEAD_BYTES = 16 * 1024;
/** http-backend keeps a fetch request in memory; at 10 MiB (http.maxRequestBuffer) it would die without an answer. */
const MAX_FETCH_REQUEST_BYTES = 9 * 1024 * 1024;
/** Of a push, beside its pack: the list of refs. */
const PUSH_MARGIN_BYTES = 16 * 1024 * 1024;
const KILL_AFTER_MS = 5000;

/** Answers one request of git. @throws Refusal when nothing was answered yet */
export async function serveGit(exchange: Exchange, options: GitRequest): Promise<void> {
  const { request, response } = exchange;
  const isPush = options.service === "git-receive-pack" && !options.isAdvertisement;
  const maxBytes = bodyLimit(options, isPush);
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  const program = startProgram(
    gitServerCommand({ settings: settingsOf(options), env: environmentOf(exchange, options) }),
  );
  options.running.add(program);
  const stopReading = (): void => {
    // A push that has arrived is finished, hooks and all, whether or not its client still listens.
    if (!isPush || !request.complete) endProgram(program);
  };
  response.once("close", stopReading);
  try {
    const sending = sendBody(exchange, program, maxBytes);
    await Promise.all([sending, sendAnswer(exchange, program)]);
  } finally {
    endUnlessEnded(program, isPush && request.complete);
    await program.ended;
    response.off("close", stopReading);
    options.running.delete(program);
  }
}

/** SIGTERM, which git passes on to what it started, and SIGKILL for one that does not listen. */
export function endProgram(program: RunningProgram): void {
  program.kill("SIGTERM");
  const timer = setTimeout(() => {
    program.kill("SIGKILL");
  }, KILL_AFTER_MS);
  void program.ended.then(() => {
    clearTimeout(timer);
  });
}

function endUnlessEnded(program: RunningProgram, mayGoOn: boolean): void {
  program.stdout.resume();
  if (!mayGoOn) endProgram(program);
}

function settingsOf({ maxBodyBytes }: GitRequest): readonly string[] {
  return ["http.getanyfile=false", "http.uploadarchive=false", `receive.maxInputSize=${maxBodyBytes}`];
}

function tooLarge(maxBytes: number): Refusal {
  return new Refusal(413, `expected at most ${maxBytes} bytes`);
}

function bodyLimit({ maxBodyBytes }: GitRequest, isPush: boolean): number {
  return isPush ? maxBodyBytes + PUSH_MARGIN_BYTES : MAX_FETCH_REQUEST_BYTES;
}

function environmentOf(
  { request }: Exchange,
  { folder, service, isAdvertisement, name }: GitRequest,
): Record<string, string | undefined> {
  const { headers } = request;
  return {
    GIT_PROJECT_ROOT: folder,
    GIT_HTTP_EXPORT_ALL: "1",
    PATH_INFO: isAdvertisement ? "/info/refs" : `/${service}`,
    PATH_TRANSLATED: undefined,
    QUERY_STRING: isAdvertisement ? `service=${service}` : "",
    REQUEST_METHOD: isAdvertisement ? "GET" : "POST",
    CONTENT_TYPE: isAdvertisement
      ? undefined
      : expected(headers["content-type"], `application/x-${service}-request`),
    CONTENT_LENGTH: /^\d{1,15}$/.test(headers["content-length"] ?? "")
      ? headers["content-length"]
      : undefined,
    HTTP_CONTENT_ENCODING: contentEncoding(headers["content-encoding"]),
    GIT_PROTOCOL: protocolOf(headers["git-protocol"]),
    REMOTE_USER: name,
    REMOTE_ADDR: request.socket.remoteAddress,
  };
}

function expected(type: string | undefined, wanted: string): string {
  if (type === wanted) return wanted;
  throw new Refusal(415, `expected Content-Type: ${wanted}`);
}

function contentEncoding(encoding: string | undefined): string | undefined {
  if (encoding === undefined || encoding === "identity") return undefined;
  if (encoding === "gzip" || encoding === "x-gzip") return "gzip";
  throw new Refusal(415, "expected Content-Encoding gzip, or none");
}

function protocolOf(header: string | string[] | undefined): string | undefined {
  return typeof header === "string" && /^[a-z0-9=:.-]{1,128}$/.test(header) ? header : undefined;
}

async function sendBody(
  { request, response }: Exchange,
  program: RunningProgram,
  maxBytes: number,
): Promise<void> {
  const bounded = async function* (): AsyncGenerator<Buffer> {
    let bytes = 0;
    for await (const piece of piecesOf(request)) {
      bytes += piece.length;
      if (bytes > maxBytes) throw tooLarge(maxBytes);
      yield piece;
    }
  };
  try {
    await pipeline(bounded, program.stdin);
  } catch (error) {
    if (error instanceof Refusal) {
      // git may have begun to answer: a cut connection is no success.
      if (response.headersSent) response.destroy();
      endProgram(program);
      throw error;
    }
    // The client went away, or the program had enough: what it answers says why.
    program.stdin.end();
    discardRest(request);
  }
}

async function sendAnswer({ response }: Exchange, program: RunningProgram): Promise<void> {
  const head = await readHead(program);
  if (response.headersSent || response.destroyed) return;
  response.writeHead(head.status, head.headers);
  response.write(head.rest);
  await forward(program.stdout, response);
}

/** To the end, also when nobody listens any more: a program whose output is closed would be killed by it. */
async function forward(output: Readable, response: ServerResponse): Promise<void> {
  const sent = new Promise<void>((resolve) => {
    response.once("close", () => {
      output.unpipe(response);
      resolve();
    });
    response.once("finish", resolve);
  });
  output.pipe(response);
  await sent;
}

interface CgiHead {
  readonly status: number;
  readonly headers: Record<string, string>;
  /** The beginning of the body. */
  readonly rest: Buffer;
}

async function readHead(program: RunningProgram): Promise<CgiHead> {
  let head = Buffer.alloc(0);
  for (;;) {
    const end = head.indexOf("\r\n\r\n");
    if (end !== -1) return { ...parseHead(head.toString("latin1", 0, end)), rest: head.subarray(end + 4) };
    if (head.length > MAX_HEAD_BYTES) throw new Refusal(502, "git answered without a head");
    const piece = await nextPiece(program.stdout);
    if (piece === undefined) {
      const why = (await program.ended)?.data["stderr"];
      throw new Refusal(
        500,
        `git ended without an answer${typeof why === "string" ? `: ${why.trim()}` : ""}`,
      );
    }
    head = Buffer.concat([head, piece]);
  }
}

/** Undefined at the end; the stream stays paused in between. */
async function nextPiece(stream: Readable): Promise<Buffer | undefined> {
  for (;;) {
    const piece = stream.read() as Buffer | null;
    if (piece !== null) return piece;
    if (stream.readableEnded || stream.destroyed) return undefined;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        for (const event of ["readable", "end", "close", "error"]) stream.off(event, done);
        resolve();
      };
      for (const event of ["readable", "end", "close", "error"]) stream.on(event, done);
    });
  }
}

const PASSED_HEADERS = new Set(["content-type", "cache-control", "expires", "pragma"]);

function parseHead(text: string): { readonly status: number; readonly headers: Record<string, string> } {
  const headers: Record<string, string> = { "X-Content-Type-Options": "nosniff" };
  let status = 200;
  for (const line of text.split("\r\n")) {
    const [, name = "", value = ""] = /^([A-Za-z-]+): *(.*)$/.exec(line) ?? [];
    if (name.toLowerCase() === "status") status = Number.parseInt(value, 10);
    else if (PASSED_HEADERS.has(name.toLowerCase())) headers[name] = value;
  }
  return { status: status >= 200 && status < 600 ? status : 502, headers };
}
