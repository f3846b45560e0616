/** `cui serve` for tests: in this process or as one of its own, with git, git-lfs and plain requests as its clients. */
import { execFile, execFileSync, spawn, type ChildProcess } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { request, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http";
import path from "node:path";
import type { Readable } from "node:stream";
import { promisify } from "node:util";
import type { Test } from "tap";
import { createRepository } from "../../src/setup/create.ts";
import { serveRepositories, type ServeOptions } from "../../src/serve/server.ts";
import { addToken } from "../../src/serve/token-file.ts";
import { IDENTITY, WITH_LFS, gitAt } from "../git/git-fixture.ts";

const CUI = path.resolve("dist/cui.js");

export interface Served {
  readonly url: string;
  /** A folder of the test's own; repositories are in `srv`. */
  readonly folder: string;
  readonly srv: string;
  readonly log: string[];
  readonly tokensFile: string;
  readonly token: { readonly read: string; readonly write: string };
}

/** A folder with the empty repository DNS and a token file; nothing runs yet. */
export async function makeServed(t: Test): Promise<Omit<Served, "url">> {
  const folder = mkdtempSync(path.join(existsSync(t.testdirName) ? t.testdirName : t.testdir({}), "served-"));
  const srv = path.join(folder, "srv");
  await createRepository(gitAt(path.join(srv, "DNS")));
  const tokensFile = path.join(folder, "tokens.yaml");
  const read = await addToken(tokensFile, "reader", "read");
  const write = await addToken(tokensFile, "writer", "write");
  return { folder, srv, log: [], tokensFile, token: { read, write } };
}

/** The server in this process; ended with the test. */
export async function serveHere(t: Test, options: Partial<ServeOptions> = {}): Promise<Served> {
  const served = await makeServed(t);
  const server = await serveRepositories({
    ...{ folder: served.srv, host: "127.0.0.1", port: 0, tokensFile: served.tokensFile, isWritable: true },
    log: (line) => served.log.push(line),
    ...options,
    limits: { stopGraceMs: 500, ...options.limits },
  });
  t.teardown(() => server.close());
  return { ...served, url: server.url };
}

export interface ServerProcess extends Served {
  readonly process: ChildProcess;
  readonly exitCode: Promise<number | null>;
}

/** A certificate for 127.0.0.1 and its key, as PEM files in a folder. */
export function makeCertificate(folder: string): { readonly cert: string; readonly key: string } {
  const [cert, key] = [path.join(folder, "cert.pem"), path.join(folder, "key.pem")];
  const args =
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1";
  execFileSync("openssl", [...args.split(" "), "-keyout", key, "-out", cert], { stdio: "ignore" });
  return { cert, key };
}

/** The server as a user starts it; killed with the test. */
export async function serveAsProcess(t: Test, ...flags: readonly string[]): Promise<ServerProcess> {
  const served = await makeServed(t);
  const args = [CUI, "serve", served.srv, "--listen", "127.0.0.1:0", "--tokens", served.tokensFile, ...flags];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const exitCode = new Promise<number | null>((resolve) => child.on("exit", resolve));
  t.teardown(async () => {
    child.kill("SIGKILL");
    await exitCode;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => served.log.push(...text.trim().split("\n")));
  const line = await firstLine(child.stdout);
  const [url] = /https?:\/\/[^\s,]+/.exec(line) ?? [""];
  return { ...served, url, process: child, exitCode };
}

async function firstLine(stream: Readable): Promise<string> {
  let text = "";
  for await (const piece of stream.iterator({ destroyOnReturn: false })) {
    text += String(piece);
    if (text.includes("\n")) return text;
  }
  return text;
}

/** Runs git with git-lfs as a user would, with this token as its credential. */
export async function gitWith(
  token: string | undefined,
  folder: string,
  ...args: readonly string[]
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const helper =
    token === undefined
      ? []
      : [
          "-c",
          `credential.helper=!f() { test "$1" = get && echo username=x && echo "password=$TEST_TOKEN"; }; f`,
        ];
  return promisify(execFile)("git", [...IDENTITY, ...WITH_LFS, ...helper, ...args], {
    cwd: folder,
    timeout: 300_000,
    env: { ...process.env, TEST_TOKEN: token },
  });
}

/** What git said when it was refused; undefined when it was not. */
export async function gitRefusal(...args: Parameters<typeof gitWith>): Promise<string | undefined> {
  return gitWith(...args).then(
    () => undefined,
    (error: unknown) => (error as { stderr: string }).stderr,
  );
}

/** A clone with one commit that holds a Git LFS object, not yet pushed. */
export async function makeClone(
  served: Pick<Served, "folder" | "url">,
  { name = "work", bytes = randomBytes(100_000) }: { name?: string; bytes?: Buffer } = {},
): Promise<{ readonly clone: string; readonly oid: string; readonly bytes: Buffer }> {
  const clone = path.join(served.folder, name);
  await gitWith(undefined, served.folder, "init", "--quiet", "--initial-branch=main", clone);
  await gitWith(undefined, clone, "remote", "add", "origin", `${served.url}/DNS`);
  mkdirSync(path.join(clone, ".git/hooks"), { recursive: true });
  writeFileSync(path.join(clone, ".gitattributes"), "*.pack filter=lfs diff=lfs merge=lfs -text\n");
  writeFileSync(path.join(clone, "a.pack"), bytes);
  await gitWith(undefined, clone, "add", "--all");
  await gitWith(undefined, clone, "commit", "--quiet", "--message", "one");
  await gitWith(undefined, clone, "lfs", "install", "--local");
  return { clone, oid: createHash("sha256").update(bytes).digest("hex"), bytes };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Question {
  readonly method?: string;
  /** Sent as it is. */
  readonly path: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Uint8Array | Readable;
}

/** One plain request. */
export async function ask(url: string, question: Question): Promise<Answer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const { method = "GET", path: target, headers = {}, body } = question;
    const sent = request({ hostname, port, method, path: target, headers, agent: false }, (response) => {
      const pieces: Buffer[] = [];
      response.on("data", (piece: Buffer) => pieces.push(piece));
      response.on("error", reject);
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(pieces) });
      });
    });
    sent.on("error", reject);
    if (body === undefined || typeof body === "string" || body instanceof Uint8Array) sent.end(body);
    else body.pipe(sent);
  });
}

export function bearer(token: string): OutgoingHttpHeaders {
  return { Authorization: `Bearer ${token}` };
}

export interface BatchObject {
  readonly oid: string;
  readonly size: number;
  readonly error?: { readonly code: number; readonly message: string };
  readonly actions?: Readonly<
    Record<string, { readonly href: string; readonly header: Record<string, string> }>
  >;
}

/** Asks the batch API; `objects` of the answer. */
export async function batch(
  url: string,
  operation: "download" | "upload",
  objects: readonly { oid: string; size: number }[],
  headers: OutgoingHttpHeaders = {},
): Promise<Answer & { readonly objects: readonly BatchObject[] }> {
  const answer = await ask(url, {
    method: "POST",
    path: "/DNS.git/info/lfs/objects/batch",
    headers: { "Content-Type": "application/vnd.git-lfs+json", ...headers },
    body: JSON.stringify({ operation, transfers: ["basic"], objects }),
  });
  const parsed =
    answer.status === 200 ? (JSON.parse(answer.body.toString()) as { objects: BatchObject[] }) : undefined;
  return { ...answer, objects: parsed?.objects ?? [] };
}
