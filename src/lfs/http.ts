/**
 * HTTP for Git LFS: kept connections, redirects that carry no credentials to another host, bounded retries.
 *
 * undici and not Node's fetch: it streams Node's own streams without copies, never decompresses, follows no redirect by itself,
 * and takes git's certificate settings.
 */
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { EnvHttpProxyAgent, request, type Dispatcher } from "undici";
import { addressOf, statusError, unexpectedReply, unreachable } from "./lfs-errors.ts";

export interface HttpRequest {
  readonly method: "GET" | "POST" | "PUT";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Made anew for every try. */
  readonly body?: (() => Readable | string) | undefined;
}

export interface HttpReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Must be read, or destroyed. */
  readonly body: Readable;
  /** Where it came from in the end, and the headers that may be sent there. */
  readonly url: string;
  readonly sentHeaders: Readonly<Record<string, string>>;
}

export interface HttpSettings {
  /** Of a request: the first and those after a failure that may pass. */
  readonly tries: number;
  /** Doubled with every try, and jittered. */
  readonly firstDelayMs: number;
  /** A server that asks for a longer wait is not waited for. */
  readonly maxRetryAfterMs: number;
  /** Without an answer, or without a byte of it. */
  readonly idleTimeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** As `connect` of undici: certificates. */
  readonly tls: {
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly rejectUnauthorized?: boolean;
  };
  readonly proxy: string | undefined;
}

const DEFAULT_HTTP: HttpSettings = {
  tries: 5,
  firstDelayMs: 500,
  maxRetryAfterMs: 120_000,
  idleTimeoutMs: 60_000,
  signal: undefined,
  tls: {},
  proxy: undefined,
};

export interface LfsHttp {
  readonly settings: HttpSettings;
  /**
   * Sends a request, again after 408, 429, 5xx and failures of the network; any other status is the caller's to judge.
   * @throws CollectiveError LFS_UNREACHABLE, LFS_RATE_LIMITED, LFS_UNEXPECTED_REPLY
   */
  send(request: HttpRequest): Promise<HttpReply>;
  /** Waits before try number `failures` + 1. @throws `error` when there is none */
  pause(failures: number, error: unknown): Promise<void>;
  close(): Promise<void>;
}

const CONNECTIONS = 8;
const MAX_REDIRECTS = 5;
const MAX_DELAY_MS = 30_000;
const MAX_ERROR_BYTES = 64 * 1024;

export function openHttp(options: Partial<HttpSettings> = {}): LfsHttp {
  const settings = { ...DEFAULT_HTTP, ...options };
  const agent = new EnvHttpProxyAgent({
    connections: CONNECTIONS,
    headersTimeout: settings.idleTimeoutMs,
    bodyTimeout: settings.idleTimeoutMs,
    connect: { timeout: Math.min(30_000, settings.idleTimeoutMs), ...settings.tls },
    ...(settings.proxy === undefined ? {} : { httpProxy: settings.proxy, httpsProxy: settings.proxy }),
  });
  const pause = async (failures: number, error: unknown): Promise<void> => {
    if (failures >= settings.tries || settings.signal?.aborted === true) throw error;
    const delay = Math.min(MAX_DELAY_MS, settings.firstDelayMs * 2 ** (failures - 1));
    await sleep(delay * (0.5 + Math.random()), undefined, { signal: settings.signal });
  };
  return {
    settings,
    pause,
    send: (wanted) => sendWithRetries(wanted, { agent, settings, pause }),
    close: () => agent.destroy(),
  };
}

interface Sending {
  readonly agent: Dispatcher;
  readonly settings: HttpSettings;
  readonly pause: LfsHttp["pause"];
}

async function sendWithRetries(wanted: HttpRequest, sending: Sending): Promise<HttpReply> {
  for (let failures = 1; ; failures += 1) {
    let reply: HttpReply;
    try {
      reply = await followRedirects(wanted, sending);
    } catch (error) {
      if (!isNetworkFailure(error)) throw error;
      await sending.pause(failures, unreachable(addressOf(wanted.url), error));
      continue;
    }
    const { status } = reply;
    if (status !== 408 && status !== 429 && (status < 500 || status === 507 || status === 509)) return reply;
    const error = await replyError(reply);
    const retryAfterMs = retryAfter(reply.headers["retry-after"]);
    if (retryAfterMs === undefined) await sending.pause(failures, error);
    else if (retryAfterMs > sending.settings.maxRetryAfterMs || failures >= sending.settings.tries)
      throw error;
    else await sleep(retryAfterMs * (1 + Math.random() / 10), undefined, { signal: sending.settings.signal });
  }
}

async function followRedirects(wanted: HttpRequest, { agent, settings }: Sending): Promise<HttpReply> {
  let { url, headers } = wanted;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    const {
      statusCode,
      headers: received,
      body,
    } = await request(url, {
      dispatcher: agent,
      method: wanted.method,
      headers,
      signal: settings.signal ?? null,
      ...(wanted.body === undefined ? {} : { body: wanted.body() }),
    });
    const { location } = received;
    if (![301, 302, 303, 307, 308].includes(statusCode) || typeof location !== "string") {
      return { status: statusCode, headers: received, body, url, sentHeaders: headers };
    }
    body.on("error", () => undefined).destroy();
    if (statusCode === 303 && wanted.method !== "GET") break;
    const next = redirectTarget(url, location);
    if (new URL(next).origin !== new URL(url).origin) headers = withoutCredentials(headers);
    url = next;
  }
  throw unexpectedReply(addressOf(wanted.url), "with redirects that lead nowhere");
}

/** https stays https. */
function redirectTarget(from: string, location: string): string {
  const where = addressOf(from);
  if (!URL.canParse(location, from)) throw unexpectedReply(where, "with a redirect to no address");
  const target = new URL(location, from);
  const isAllowed = target.protocol === "https:" || (target.protocol === "http:" && from.startsWith("http:"));
  if (!isAllowed) throw unexpectedReply(where, `with a redirect to ${target.protocol}//${target.host}`);
  target.hash = "";
  return target.href;
}

/** What another host may see: what the request is about, not who asks. */
function withoutCredentials(headers: Readonly<Record<string, string>>): Record<string, string> {
  const kept = ["accept", "content-type", "content-length", "range", "user-agent", "accept-encoding"];
  return Object.fromEntries(Object.entries(headers).filter(([name]) => kept.includes(name.toLowerCase())));
}

function isNetworkFailure(error: unknown): boolean {
  if (!(error instanceof Error) || error.name === "AbortError" || error.name === "CollectiveError")
    return false;
  return !("code" in error && error.code === "UND_ERR_INVALID_ARG");
}

/** Seconds, or a date. */
function retryAfter(header: string | string[] | undefined): number | undefined {
  if (typeof header !== "string") return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}

/** The error that a status means, with the server's words. Reads the body. */
export async function replyError(reply: HttpReply): Promise<Error> {
  const text = await readText(reply, MAX_ERROR_BYTES).catch(() => "");
  return statusError({ status: reply.status, where: addressOf(reply.url), said: messageIn(text) });
}

/** A body of at most `maxBytes`. @throws CollectiveError LFS_UNEXPECTED_REPLY when it is longer */
export async function readText({ body, url }: HttpReply, maxBytes: number): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of body as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > maxBytes) throw unexpectedReply(addressOf(url), `with more than ${maxBytes} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}

function messageIn(text: string): string {
  try {
    const parsed = JSON.parse(text) as { message?: unknown } | null;
    return typeof parsed?.message === "string" ? parsed.message : "";
  } catch {
    return /^\s*</.test(text) ? "" : (text.trim().split("\n")[0] ?? "");
  }
}
