/** The manager's side of a host: the contract of host.ts over a unix socket or ssh. */
import type { Duplex, Readable, Writable } from "node:stream";
import { ErrorCodes, ResponseError, type MessageConnection } from "vscode-jsonrpc/node";
import { CollectiveError, messageOf } from "../errors.ts";
import { startProgram, stderrOf } from "../io.ts";
import { parseHostAddress, type HostAddress } from "./host-address.ts";
import type { Host } from "./host.ts";
import {
  createConnection,
  fromResponseError,
  HELLO,
  helloResultSchema,
  KNOWN_PROTOCOLS,
} from "./protocol.ts";
import { hostOf, parseResult, type HostCall } from "./schema.ts";
import { connectUnixSocket } from "./unix-socket.ts";

export interface ConnectOptions {
  /** Until the host manager answered; default 10 s. */
  readonly timeoutMs?: number;
  /** Gives the attempt up before. */
  readonly signal?: AbortSignal | undefined;
  /** How often a host manager that works on something is asked whether it is still there; default 15 s. */
  readonly heartbeatMs?: number;
  /** At most this for each call, whatever it is. */
  readonly callTimeoutMs?: number;
  /** An ssh configuration file in place of the user's. */
  readonly sshConfig?: string;
}

interface Wire {
  readonly input: Readable;
  readonly output: Writable;
  close(): void;
  /** Why the other side ended, where that is known. */
  reason(): Promise<string>;
}

const CONNECT_TIMEOUT_MS = 10_000;
const HEARTBEAT_MS = 15_000;
/** So many unanswered in a row, and the host manager hangs. */
const LOST_HEARTBEATS = 4;

const MINUTE_MS = 60_000;
/** What a host manager does within one call has limits of its own; these are beyond them. */
const CALL_LIMITS_MS: Readonly<Record<HostCall, number>> = {
  describe: 10_000,
  inventory: MINUTE_MS,
  consolePath: MINUTE_MS,
  prepareImage: 24 * 60 * MINUTE_MS,
  verifyImages: 24 * 60 * MINUTE_MS,
  prepareDataDisks: 20 * MINUTE_MS,
  startMachine: 20 * MINUTE_MS,
  resumeMachine: 20 * MINUTE_MS,
  moveToAttic: 20 * MINUTE_MS,
  // Beyond the time that the caller gives the guest.
  awaitReady: 20 * MINUTE_MS,
  sendParameters: 20 * MINUTE_MS,
  stopMachine: 20 * MINUTE_MS,
  listAttic: MINUTE_MS,
  listData: MINUTE_MS,
  restoreFromAttic: 20 * MINUTE_MS,
  purgeAttic: 20 * MINUTE_MS,
  openExport: 20 * MINUTE_MS,
  readExport: 5 * MINUTE_MS,
  closeExport: 20 * MINUTE_MS,
};

/**
 * Connects to `unix:/path`, or `ssh://[user@]host[:port]` where `cui host connect` is run; asks for no password.
 * @throws CollectiveError HOST_ADDRESS_INVALID, HOST_UNREACHABLE, HOST_PROTOCOL_UNKNOWN
 */
export async function connectHost(address: string, options: ConnectOptions = {}): Promise<Host> {
  const target = parseHostAddress(address);
  const timeoutMs = options.timeoutMs ?? CONNECT_TIMEOUT_MS;
  const wire = await openWire(target, { address, timeoutMs, sshConfig: options.sshConfig });
  const connection = createConnection(wire);
  const lost = watchLoss(connection, wire, address);
  connection.listen();
  try {
    const hello = connection.sendRequest(HELLO, { protocols: KNOWN_PROTOCOLS });
    const given = [expire(timeoutMs, address), ...abortion(options.signal, address)];
    helloResultSchema.parse(await Promise.race([hello, lost, ...given]));
  } catch (error) {
    const reason = isOwnEnd(error) ? await wire.reason() : undefined;
    connection.dispose();
    wire.close();
    throw reason === undefined ? asHostError(error, address) : unreachable(address, reason);
  }
  return bindRequests({ ...options, connection, wire, lost, address });
}

interface Link extends Pick<ConnectOptions, "heartbeatMs" | "callTimeoutMs"> {
  readonly connection: MessageConnection;
  readonly wire: Wire;
  readonly lost: Promise<never>;
  readonly address: string;
}

function bindRequests(link: Link): Host {
  const request = async (call: HostCall, values: readonly unknown[]): Promise<unknown> => {
    const patience = watchHost(link, call, values);
    try {
      const asked: Promise<unknown> = link.connection.sendRequest(call, ...values);
      return parseResult(call, await Promise.race([asked, link.lost, patience.over]));
    } catch (error) {
      throw asHostError(error, link.address);
    } finally {
      patience.end();
    }
  };
  return hostOf(request, () => {
    link.connection.dispose();
    link.wire.close();
    return Promise.resolve();
  });
}

/**
 * `over` rejects when a call has taken longer than it can, or when the host manager hangs: while it works on something, however
 * long, it is asked now and then, and each release answers another hello.
 */
function watchHost(
  { connection, address, heartbeatMs = HEARTBEAT_MS, callTimeoutMs }: Link,
  call: HostCall,
  values: readonly unknown[],
): { readonly over: Promise<never>; end(): void } {
  const { promise: over, reject } = Promise.withResolvers<never>();
  over.catch(() => undefined); // nobody waits for it when the host cannot even be asked
  const guestMs = ["awaitReady", "sendParameters", "stopMachine"].includes(call) ? Number(values.at(-1)) : 0;
  const limitMs = callTimeoutMs ?? CALL_LIMITS_MS[call] + guestMs;
  const limit = setTimeout(() => {
    reject(unreachable(address, `no answer to ${call} in ${limitMs / 1000} s`));
  }, limitMs);
  let unanswered = 0;
  const heartbeat = setInterval(() => {
    if (unanswered >= LOST_HEARTBEATS)
      reject(unreachable(address, `it has not answered for ${(unanswered * heartbeatMs) / 1000} s`));
    unanswered += 1;
    void connection.sendRequest(HELLO, { protocols: KNOWN_PROTOCOLS }).then(
      () => (unanswered = 0),
      () => undefined, // the loss of the connection is told by itself
    );
  }, heartbeatMs);
  return {
    over,
    end: () => {
      clearTimeout(limit);
      clearInterval(heartbeat);
    },
  };
}

/** Rejects when the connection ends; requests under way would otherwise wait for ever. */
function watchLoss(connection: MessageConnection, wire: Wire, address: string): Promise<never> {
  const lost = new Promise<never>((_, reject) => {
    const lose = (): void => {
      void wire.reason().then((reason) => {
        reject(unreachable(address, reason));
      });
    };
    connection.onClose(lose);
    connection.onError(lose);
  });
  lost.catch(() => undefined); // without a request under way nobody waits for it
  return lost;
}

async function openWire(
  target: HostAddress,
  options: { readonly address: string; readonly timeoutMs: number; readonly sshConfig: string | undefined },
): Promise<Wire> {
  if (target.kind === "ssh") return openSsh(target, options);
  try {
    const socket: Duplex = await connectUnixSocket(target.path);
    return {
      input: socket,
      output: socket,
      close: () => socket.destroy(),
      reason: () => Promise.resolve("the host manager ended the connection"),
    };
  } catch (error) {
    throw unreachable(options.address, messageOf(error));
  }
}

/** @see ssh(1): BatchMode asks for nothing, a destination after `--` is never taken for an option */
function openSsh(
  target: HostAddress & { readonly kind: "ssh" },
  { timeoutMs, sshConfig }: { readonly timeoutMs: number; readonly sshConfig: string | undefined },
): Wire {
  const program = startProgram({
    file: "ssh",
    args: [
      ...(sshConfig === undefined ? [] : ["-F", sshConfig]),
      ...["-T", "-o", "BatchMode=yes", "-o", `ConnectTimeout=${Math.max(1, Math.ceil(timeoutMs / 1000))}`],
      ...["-o", "ServerAliveInterval=15"],
      ...(target.port === undefined ? [] : ["-p", String(target.port)]),
      ...(target.user === undefined ? [] : ["-l", target.user]),
      ...["--", target.host, "cui host connect"],
    ],
  });
  return {
    input: program.stdout,
    output: program.stdin,
    close: () => {
      program.kill();
    },
    reason: async () => explainEnd(await program.ended),
  };
}

/** The far `cui` prints its error before its hint; ssh itself says one line. */
function explainEnd(error: CollectiveError | undefined): string {
  if (error === undefined) return "ssh ended the connection";
  const said = /^error [A-Z_]+: (.*)$/m.exec(stderrOf(error))?.[1];
  return said ?? error.message;
}

async function expire(timeoutMs: number, address: string): Promise<never> {
  await new Promise((resolve) => setTimeout(resolve, timeoutMs).unref());
  throw unreachable(address, `no answer in ${timeoutMs / 1000} s`);
}

function abortion(signal: AbortSignal | undefined, address: string): readonly Promise<never>[] {
  if (signal === undefined) return [];
  const { promise, reject } = Promise.withResolvers<never>();
  const give = (): void => {
    reject(unreachable(address, "it was not waited for"));
  };
  promise.catch(() => undefined);
  if (signal.aborted) give();
  else signal.addEventListener("abort", give, { once: true });
  return [promise];
}

function asHostError(error: unknown, address: string): unknown {
  if (error instanceof ResponseError && error.code === ErrorCodes.MethodNotFound) {
    return new CollectiveError(
      "HOST_CALL_UNKNOWN",
      `the host manager at ${address} is of a release that cannot do this: ${error.message}`,
      { data: { address }, hint: "upgrade cui on that host; its machines run on meanwhile" },
    );
  }
  if (error instanceof ResponseError && !isOwnEnd(error)) {
    return fromResponseError(error as ResponseError<unknown>);
  }
  if (error instanceof CollectiveError) return error;
  return unreachable(address, messageOf(error));
}

/** True for errors of our own end: the host has said nothing, but whatever led to it may have. */
function isOwnEnd(error: unknown): boolean {
  return error instanceof ResponseError && CONNECTION_ERRORS.has(error.code);
}

const CONNECTION_ERRORS = new Set<number>([
  ErrorCodes.PendingResponseRejected,
  ErrorCodes.ConnectionInactive,
  // ssh may be gone before the first request is written.
  ErrorCodes.MessageWriteError,
  ErrorCodes.MessageReadError,
]);

function unreachable(address: string, reason: string): CollectiveError {
  return new CollectiveError(
    "HOST_UNREACHABLE",
    `the host manager at ${address} cannot be reached: ${reason}`,
    {
      data: { address },
      hint: "is the host up, and `cui host serve` running on it? ssh must work without a password",
    },
  );
}
