/**
 * Where a repository's Git LFS server is. The repository's own `.lfsconfig` has no say: it is a stranger's.
 * @see git-lfs docs/api/server-discovery.md
 */
import * as z from "zod";
import { CollectiveError } from "../errors.ts";
import { run, type Command } from "../io.ts";
import { configValue } from "../git/config.ts";
import type { Git } from "../git/git.ts";
import { requireUrl } from "../git/url.ts";
import { unexpectedReply } from "./lfs-errors.ts";

export interface LfsEndpoint {
  /** Without a slash at its end. */
  readonly url: string;
  /** Sent there, and nowhere else. */
  readonly headers: Readonly<Record<string, string>>;
  /** As Date.now() counts; undefined: the headers hold. */
  readonly expiresAtMs: number | undefined;
}

const SSH_TIMEOUT_MS = 60_000;

/**
 * @param url normalised (url.ts): https, http, ssh or `user@host:path`
 * @throws CollectiveError REPOSITORY_URL_REFUSED, LFS_UNREACHABLE, LFS_UNEXPECTED_REPLY
 */
export async function findEndpoint(
  git: Git,
  url: string,
  operation: "download" | "upload",
): Promise<LfsEndpoint> {
  const parsed = requireUrl(url, "/");
  if (parsed.kind === "https" || parsed.kind === "http") return atUrl(parsed.url);
  const remote = sshRemote(parsed.url);
  if (remote === undefined) {
    throw new CollectiveError("REPOSITORY_URL_REFUSED", `${url} has no Git LFS server`, {
      hint: "a path needs none; write https://… or ssh://…",
    });
  }
  return askSsh(git, remote, operation);
}

function atUrl(url: string): LfsEndpoint {
  return {
    url: url.endsWith(".git") ? `${url}/info/lfs` : `${url}.git/info/lfs`,
    headers: {},
    expiresAtMs: undefined,
  };
}

interface SshRemote {
  /** `user@host` or `host`. */
  readonly destination: string;
  readonly port: string | undefined;
  readonly path: string;
}

function sshRemote(url: string): SshRemote | undefined {
  const scp = /^([^/:@]+@[^/:@]+):(.+)$/.exec(url);
  if (scp !== null) return { destination: scp[1] ?? "", port: undefined, path: scp[2] ?? "" };
  if (!url.startsWith("ssh://")) return undefined;
  const { username, hostname, port, pathname } = new URL(url);
  return {
    destination: username === "" ? hostname : `${username}@${hostname}`,
    port: port === "" ? undefined : port,
    path: pathname,
  };
}

const ANSWER = z.object({
  href: z.string().optional(),
  header: z.record(z.string(), z.string()).optional(),
  expires_in: z.number().optional(),
  expires_at: z.string().optional(),
});

async function askSsh(
  git: Git,
  { destination, port, path }: SshRemote,
  operation: string,
): Promise<LfsEndpoint> {
  const where = `git-lfs-authenticate at ${destination}`;
  const text = await run({
    ...(await sshCommand(git, [
      ...["-oBatchMode=yes", ...(port === undefined ? [] : ["-p", port]), "--", destination],
      `git-lfs-authenticate ${quote(path)} ${operation}`,
    ])),
    timeoutMs: SSH_TIMEOUT_MS,
  }).catch((error: unknown) => {
    throw new CollectiveError("LFS_UNREACHABLE", `${where} failed`, {
      hint: `try \`ssh ${destination} git-lfs-authenticate ${path} ${operation}\``,
      cause: error,
    });
  });
  const { success, data } = ANSWER.safeParse(parseJson(text));
  if (!success) throw unexpectedReply(where, "something else than an address");
  const href = data.href ?? `https://${destination.replace(/^.*@/, "")}/${path.replace(/^\//, "")}/info/lfs`;
  if (!URL.canParse(href) || !/^https?:$/.test(new URL(href).protocol)) {
    throw unexpectedReply(where, "with an address that is none");
  }
  return {
    url: href.replace(/\/+$/, ""),
    headers: data.header ?? {},
    expiresAtMs: expiryOf(data),
  };
}

/** As git calls ssh: by a command of the user's own, which is a line of shell, or by a program. */
async function sshCommand(
  git: Git,
  args: readonly string[],
): Promise<Pick<Command, "file" | "args" | "env">> {
  const { env } = git;
  const line = env["GIT_SSH_COMMAND"] ?? (await configValue(git, "core.sshCommand"));
  if (line !== undefined) return { file: "sh", args: ["-c", `${line} "$@"`, "ssh", ...args], env };
  return { file: env["GIT_SSH"] ?? "ssh", args, env };
}

/** `expires_in` (seconds) counts before `expires_at`: clocks differ. */
export function expiryOf(given: {
  readonly expires_in?: number | undefined;
  readonly expires_at?: string | undefined;
}): number | undefined {
  if (given.expires_in !== undefined && given.expires_in > 0) return Date.now() + given.expires_in * 1000;
  const at = Date.parse(given.expires_at ?? "");
  return Number.isNaN(at) ? undefined : at;
}

/** The other side runs it in a shell. */
function quote(text: string): string {
  return /^[A-Za-z0-9_./~-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
