/** git's own settings for an address (`http.*`), as far as they say how to connect. */
import path from "node:path";
import type { Git } from "../git/git.ts";
import type { HttpSettings } from "./http.ts";
import { readRegularFile } from "../regular-file.ts";

export interface GitHttpSettings extends Pick<HttpSettings, "tls" | "proxy"> {
  /** `http.extraHeader`, for that address only. */
  readonly extraHeaders: Readonly<Record<string, string>>;
}

/** The configuration of the repository counts, beside the user's, and the program's environment. */
export async function gitHttpSettings(git: Git, url: string): Promise<GitHttpSettings> {
  const { stdout } = await git.status({ args: ["config", "--null", "--get-urlmatch", "http", url] });
  const settings = new Map<string, string>();
  for (const entry of stdout.split("\0")) {
    const [, name = "", value = ""] = /^http\.([a-z]+)\n(.*)$/s.exec(entry) ?? [];
    if (name !== "") settings.set(name, value);
  }
  const { GIT_SSL_CAINFO, GIT_SSL_NO_VERIFY } = git.env;
  const fileOf = (name: string): string | undefined => expandHome(settings.get(name), git.env["HOME"]);
  const caFile = GIT_SSL_CAINFO ?? fileOf("sslcainfo");
  const isUnverified = GIT_SSL_NO_VERIFY !== undefined || (await isUnverifiedFor(git, url));
  const ca = await read(caFile);
  const cert = await read(fileOf("sslcert"));
  const key = await read(fileOf("sslkey"));
  const proxy = settings.get("proxy");
  return {
    tls: {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(isUnverified ? { rejectUnauthorized: false } : {}),
    },
    proxy: proxy === "" ? undefined : proxy,
    extraHeaders: headerOf(settings.get("extraheader")),
  };
}

/** As git reads its booleans. */
async function isUnverifiedFor(git: Git, url: string): Promise<boolean> {
  const args = ["config", "--type=bool", "--get-urlmatch", "http.sslVerify", url];
  return (await git.run({ args, allowedExitCodes: [0, 1] })).trim() === "false";
}

/** git's paths may begin with `~/`. */
function expandHome(file: string | undefined, home: string | undefined): string | undefined {
  return home !== undefined && file?.startsWith("~/") === true ? path.join(home, file.slice(2)) : file;
}

async function read(file: string | undefined): Promise<string | undefined> {
  return file === undefined || file === "" ? undefined : readRegularFile(file).then(String);
}

function headerOf(line: string | undefined): Record<string, string> {
  const [, name = "", value = ""] = /^([A-Za-z0-9-]+): *([\u0020-\u007e]*)$/.exec(line ?? "") ?? [];
  return name === "" ? {} : { [name]: value };
}
