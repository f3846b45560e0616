/**
 * git's smart protocol by `git http-backend`, one process a request, bodies streamed both ways.
 *
 * The program learns the repository from GIT_PROJECT_ROOT and one of three fixed paths: nothing a client names becomes an
 * argument or a path. Pushes run the repository's own hooks.
 *
 * @see git-http-backend(1); RFC 3875, "The Common Gateway Interface"
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { RunningProgram } from "../io.ts";
import { startProgram } from "../io.ts";
import { gitServerCommand } from "../git/git.ts";
import { discardRest, type Exchange } from "./exchange.ts";
import { Refusal } from "./refusal.ts";
import type { GitService } from "./route.ts";

export interface GitRequest {
  /** The repository's real folder. */
  readonly folder: string;
  readonly service: GitService;
  /** REMOTE_USER of hooks. */
  readonly name: string | undefined;
  readonly maxPackBytes: number;
  /** Of the request, bounded and not compressed; undefined for an advertisement. */
  readonly body: AsyncIterable<Buffer> | undefined;
  /** Those that run, for whoever stops the server. */
  readonly running: Set<RunningProgram>;
}

const MAX_HEAD_BYTES = 16 * 1024;
/** What is wanted and what is there already; http-backend keeps it in memory. */
export const MAX_FETCH_REQUEST_BYTES = 16 * 1024 * 1024;
/** Of a push, beside its pack: the list of refs. */
export const PUSH_MARGIN_BYTES = 16 * 1024 * 1024;
const KILL_AFTER_MS = 5000;

/** Answers one request of git. @throws Refusal when nothing was answered yet */
export async function serveGit(exchange: Exchange, options: GitRequest): Promise<void> {
  const { request, response } = exchange;
  const isPush = options.service === "git-receive-pack" && options.body !== undefined;
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
    if (options.body === undefined) program.stdin.end();
    const sending = options.body === undefined ? undefined : sendBody(exchange, program, options.body);
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

function settingsOf({ maxPackBytes }: GitRequest): readonly string[] {
  return [
    "http.getanyfile=false",
    "http.uploadarchive=false",
    `http.maxRequestBuffer=${2 * MAX_FETCH_REQUEST_BYTES}`,
    `receive.maxInputSize=${maxPackBytes}`,
  ];
}

/** No CONTENT_LENGTH: where less comes than it says, as after the end of this process, git would read on and on at full load. */
function environmentOf(
  { request }: Exchange,
  { folder, service, body, name }: GitRequest,
): Record<string, string | undefined> {
  const isAdvertisement = body === undefined;
  const { headers } = request;
  return {
    GIT_PROJECT_ROOT: folder,
    GIT_HTTP_EXPORT_ALL: "1",
    PATH_INFO: isAdvertisement ? "/info/refs" : `/${service}`,
    PATH_TRANSLATED: undefined,
    QUERY_STRING: isAdvertisement ? `service=${service}` : "",
    REQUEST_METHOD: isAdvertisement ? "GET" : "POST",
    CONTENT_TYPE: isAdvertisement ? undefined : typeOf(service),
    CONTENT_LENGTH: undefined,
    HTTP_CONTENT_ENCODING: undefined,
    GIT_PROTOCOL: protocolOf(headers["git-protocol"]),
    REMOTE_USER: name,
    REMOTE_ADDR: request.socket.remoteAddress,
  };
}

/** @throws Refusal 415 */
export function checkContentType({ request }: Exchange, service: GitService): void {
  if (request.headers["content-type"] === typeOf(service)) return;
  throw new Refusal(415, `expected Content-Type: ${typeOf(service)}`);
}

function typeOf(service: GitService): string {
  return `application/x-${service}-request`;
}

function protocolOf(header: string | string[] | undefined): string | undefined {
  return typeof header === "string" && /^[a-z0-9=:.-]{1,128}$/.test(header) ? header : undefined;
}

async function sendBody(
  { request, response }: Exchange,
  program: RunningProgram,
  body: AsyncIterable<Buffer>,
): Promise<void> {
  try {
    const sending = pipeline(body, program.stdin);
    sending.catch(() => undefined);
    await Promise.race([sending, closedBefore(request, response)]);
    if (request.complete) await sending;
    else stopSending(request, program);
  } catch (error) {
    if (error instanceof Refusal) {
      // git may have begun to answer: a cut connection is no success.
      if (response.headersSent) response.destroy();
      endProgram(program);
      throw error;
    }
    // The client went away, or the program had enough: what it answers says why.
    stopSending(request, program);
  }
}

function stopSending(request: IncomingMessage, program: RunningProgram): void {
  program.stdin.end();
  discardRest(request);
}

/** Once its answer has ended, a request is not told any more that its connection was lost. */
function closedBefore(request: IncomingMessage, response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (!request.complete) resolve();
    };
    if (response.closed) check();
    else response.once("close", check);
  });
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
