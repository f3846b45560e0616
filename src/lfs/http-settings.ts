/** git's own settings for an address (`http.*`), as far as they say how to connect. */
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
  const caFile = GIT_SSL_CAINFO ?? settings.get("sslcainfo");
  const isUnverified = GIT_SSL_NO_VERIFY !== undefined || settings.get("sslverify") === "false";
  const ca = await read(caFile);
  const cert = await read(settings.get("sslcert"));
  const key = await read(settings.get("sslkey"));
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

async function read(file: string | undefined): Promise<string | undefined> {
  return file === undefined || file === "" ? undefined : readRegularFile(file).then(String);
}

function headerOf(line: string | undefined): Record<string, string> {
  const [, name = "", value = ""] = /^([A-Za-z0-9-]+): *([\u0020-\u007e]*)$/.exec(line ?? "") ?? [];
  return name === "" ? {} : { [name]: value };
}
