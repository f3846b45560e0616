/** Strangers that hold what they can of a server, and the clone and the push that must go through beside them. */
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import path from "node:path";
import type { Test } from "tap";
import { git } from "../git/git-fixture.ts";
import { gitWith, makeClone, type Served } from "./served.ts";

export const OTHER_ADDRESS = "127.0.0.2";
export const READ_TYPE = "application/x-git-upload-pack-request";
export const PUSH_TYPE = "application/x-git-receive-pack-request";
export const NEVER_MS = 3_600_000;
/** Nothing is taken away from anybody for being slow. */
export const PATIENT = { paceWindowMs: NEVER_MS, patienceMs: NEVER_MS, headersTimeoutMs: NEVER_MS };

export interface Stranger {
  readonly socket: Socket;
  readonly isClosed: () => boolean;
}

/** Connections that send `head` and then `drip`, again and again; what comes back is read or not. */
export function strangers(
  t: Test,
  { url }: Served,
  options: {
    readonly count: number;
    readonly head: string;
    readonly drip?: string | Buffer;
    readonly dripMs?: number;
    readonly localAddress?: string;
    readonly isReading?: boolean;
  },
): readonly Stranger[] {
  const { count, head, drip, dripMs = 200, localAddress = "127.0.0.1", isReading = true } = options;
  return Array.from({ length: count }, () => {
    const socket = connect({ port: Number(new URL(url).port), host: "127.0.0.1", localAddress });
    let isClosed = false;
    socket.on("error", () => undefined).on("close", () => (isClosed = true));
    socket.write(head);
    if (isReading) socket.resume();
    const timer = drip === undefined ? undefined : setInterval(() => socket.write(drip), dripMs);
    t.teardown(() => {
      clearInterval(timer);
      socket.destroy();
    });
    return { socket, isClosed: () => isClosed };
  });
}

export const post = (target: string, type: string, more: string): string =>
  `POST ${target} HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\n${more}\r\n`;
export function packetLine(text: string): string {
  return `${(text.length + 4).toString(16).padStart(4, "0")}${text}`;
}

export const SLOW_BODY = post("/DNS/git-upload-pack", READ_TYPE, "Content-Length: 100000\r\n");
export const ENDLESS_BODY = post("/DNS/git-upload-pack", READ_TYPE, "Transfer-Encoding: chunked\r\n");

export async function withSmall(served: Served): Promise<Served> {
  const { clone } = await makeClone(served);
  await gitWith(served.token.write, clone, "push", "--quiet", "origin", "main");
  return served;
}

let clones = 0;

export async function cloneWorks(t: Test, served: Served, what: string): Promise<void> {
  clones += 1;
  const to = path.join(served.folder, `clone-${clones}`);
  await gitWith(undefined, served.folder, "clone", "--quiet", `${served.url}/DNS`, to);
  t.equal(readFileSync(path.join(to, "a.pack")).length, 100_000, `a clone, ${what}`);
}

export async function pushWorks(
  t: Test,
  served: Served,
  what: string,
  options: readonly string[] = [],
): Promise<void> {
  const clone = path.join(served.folder, "work");
  writeFileSync(path.join(clone, "text"), randomBytes(20).toString("hex"));
  writeFileSync(path.join(clone, "b.pack"), randomBytes(100_000)); // goes to Git LFS
  git(clone, "add", "--all");
  git(clone, "commit", "--quiet", "--message", what);
  await gitWith(served.token.write, clone, ...options, "push", "--quiet", "origin", "main");
  t.pass(`a push, ${what}`);
}
