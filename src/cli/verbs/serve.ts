/** `cui serve <folder>`: git and Git LFS over HTTP; `cui serve token`: who may read and write. */
import { isIPv4 } from "node:net";
import path from "node:path";
import { Option, type Command } from "commander";
import { CollectiveError } from "../../errors.ts";
import { reasonOf } from "../../file-errors.ts";
import { serveRepositories } from "../../serve/server.ts";
import { addToken, readTokens, removeToken, type TokenRights } from "../../serve/token-file.ts";
import type { CliContext } from "../context.ts";
import { readRegularFile } from "../../regular-file.ts";

interface ServeFlags {
  readonly listen: string;
  readonly writable?: boolean;
  readonly private?: boolean;
  readonly tokens?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly insecure?: boolean;
  readonly url?: string;
  readonly maxProcesses?: string;
  readonly maxObject?: string;
}

const DEFAULT_LISTEN = "127.0.0.1:8418";
const DEFAULT_TOKENS = "/etc/collective/serve-tokens.yaml";

export function configure(command: Command, context: CliContext): void {
  command
    .enablePositionalOptions()
    .argument("<folder>", "the folder that holds bare repositories")
    .option("--listen <host:port>", "address and port", DEFAULT_LISTEN)
    .option("--writable", "let tokens with the right to write push")
    .option("--private", "let nobody read without a token")
    .option("--tokens <file>", "who may read and write; made by `cui serve token add`")
    .option("--tls-cert <file>", "certificate chain in PEM, to serve https")
    .option("--tls-key <file>", "its key in PEM")
    .option("--insecure", "listen beyond this machine without TLS")
    .option("--url <url>", "the address clients use, when a proxy stands before the server")
    .option("--max-processes <n>", "git programs at once for reading, and as many for pushes")
    .option("--max-object <MiB>", "the largest Git LFS object taken")
    .addHelpText(
      "after",
      "\nEvery bare repository in the folder is served, and nothing else. Hooks of the repositories are in force.\n" +
        "\nExample:\n" +
        "  cui create /srv/git/DNS && cui serve token add alice --rights write --tokens tokens.yaml\n" +
        "  cui serve /srv/git --writable --tokens tokens.yaml\n" +
        "  git clone http://127.0.0.1:8418/DNS\n",
    )
    .action(async (folder: string, flags: ServeFlags) => {
      await serve(folder, flags, context);
    });
  configureTokens(command, context);
}

async function serve(folder: string, flags: ServeFlags, context: CliContext): Promise<void> {
  const { host, port } = parseListen(flags.listen);
  checkFlags(flags, host);
  const resolved = (file: string): string => path.resolve(context.cwd, file);
  const server = await serveRepositories({
    ...{ folder: resolved(folder), host, port, publicUrl: flags.url },
    ...{ isWritable: flags.writable, isPrivate: flags.private },
    tokensFile: flags.tokens === undefined ? undefined : resolved(flags.tokens),
    tls: await readTls(flags, resolved),
    limits: {
      ...(flags.maxProcesses === undefined
        ? {}
        : processLimits(positive("--max-processes", flags.maxProcesses))),
      ...(flags.maxObject === undefined
        ? {}
        : { maxObjectBytes: positive("--max-object", flags.maxObject) * 1024 * 1024 }),
    },
    log: (line) => {
      context.warn(line);
    },
  });
  context.print(
    `serving ${resolved(folder)} at ${server.url}${flags.writable === true ? "" : ", read-only"}`,
  );
  await untilTold();
  await server.close();
}

/** `host:port`, `[::1]:port` or a port alone. */
function parseListen(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):)?(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > 65_535) {
    throw new CollectiveError("USAGE", `--listen expects host:port, got "${text}"`);
  }
  return { host: (match[1] ?? "127.0.0.1").replace(/^\[|\]$/g, ""), port };
}

function checkFlags(flags: ServeFlags, host: string): void {
  if ((flags.tlsCert === undefined) !== (flags.tlsKey === undefined)) {
    throw new CollectiveError("USAGE", "--tls-cert and --tls-key are given together");
  }
  if (flags.tokens === undefined && (flags.writable === true || flags.private === true)) {
    const flag = flags.writable === true ? "--writable" : "--private";
    throw new CollectiveError("USAGE", `${flag} needs --tokens <file>`, {
      hint: "`cui serve token add <name> --tokens <file>` makes the file",
    });
  }
  if (flags.url !== undefined && !/^https?:\/\/[^/?#\s]+[^?#\s]*$/.test(flags.url)) {
    throw new CollectiveError("USAGE", `--url expects http(s)://host[/path], got "${flags.url}"`);
  }
  if (isLoopback(host) || flags.tlsCert !== undefined || flags.insecure === true) return;
  throw new CollectiveError(
    "SERVE_LISTEN_INSECURE",
    `tokens would cross the network in clear: ${host} is not this machine alone`,
    {
      hint: "--tls-cert and --tls-key serve https; --insecure is for a network you trust, or a proxy that does TLS",
    },
  );
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
}

async function readTls(
  { tlsCert, tlsKey }: ServeFlags,
  resolved: (file: string) => string,
): Promise<{ readonly cert: string; readonly key: string } | undefined> {
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  const read = (file: string): Promise<string> =>
    readRegularFile(resolved(file)).then(String, (error: unknown) => {
      throw new CollectiveError("SERVE_TLS_INVALID", `cannot read ${file}: ${reasonOf(error).reason}`, {
        hint: "--tls-cert and --tls-key name PEM files",
        cause: error,
      });
    });
  return { cert: await read(tlsCert), key: await read(tlsKey) };
}

/** Reading and pushing do not share places. */
function processLimits(most: number): { readonly maxProcesses: number; readonly maxPushes: number } {
  return { maxProcesses: most, maxPushes: most };
}

function positive(flag: string, text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number > 0 && number <= 1024 * 1024) return number;
  throw new CollectiveError("USAGE", `${flag} expects a positive whole number, got "${text}"`);
}

interface TokenFlags {
  readonly tokens: string;
  readonly rights: TokenRights;
  readonly json?: boolean;
}

function configureTokens(command: Command, context: CliContext): void {
  const token = command.command("token").description("manage who may read and write");
  const fileOf = ({ tokens }: Pick<TokenFlags, "tokens">): string => path.resolve(context.cwd, tokens);
  withFile(token.command("add").description("make a token and print it, once"))
    .argument("<name>", "whose it is: hooks see it as REMOTE_USER")
    .addOption(new Option("--rights <what>", "what it allows").choices(["read", "write"]).default("read"))
    .addHelpText("after", "\nExample:\n  cui serve token add ci --rights write --tokens tokens.yaml\n")
    .action(async (name: string, flags: TokenFlags) => {
      context.print(await addToken(fileOf(flags), name, flags.rights));
      context.warn(
        "Keep it: only its SHA-256 is stored. git and git-lfs send it as the password of any user name.",
      );
    });
  withFile(token.command("list").description("show names and rights"))
    .option("--json", "print them as JSON")
    .addHelpText("after", "\nExample:\n  cui serve token list --tokens tokens.yaml\n")
    .action(async (flags: TokenFlags) => {
      const entries = (await readTokens(fileOf(flags))).map(({ name, rights }) => ({ name, rights }));
      if (flags.json === true) context.print(JSON.stringify(entries, undefined, 2));
      else for (const { name, rights } of entries) context.print(`${rights.padEnd(5)}  ${name}`);
    });
  withFile(token.command("remove").description("revoke a token, at once"))
    .argument("<name>", "as in the list")
    .addHelpText("after", "\nExample:\n  cui serve token remove ci --tokens tokens.yaml\n")
    .action(async (name: string, flags: TokenFlags) => {
      await removeToken(fileOf(flags), name);
      context.print(`Removed the token ${name}.`);
    });
}

function withFile(command: Command): Command {
  return command.option("--tokens <file>", "the token file", DEFAULT_TOKENS);
}

function untilTold(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const)
      process.once(signal, () => {
        resolve();
      });
  });
}
