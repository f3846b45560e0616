/** GitHub as a runner sees it: only where the site lies there and a token says that it may be asked. */
import { forgeFromEnvironment } from "../client.ts";
import type { Forge, RepositoryName } from "../forge.ts";
import { repositoryOfUrl } from "../repository-name.ts";

export interface RunnerForge {
  readonly forge: Forge;
  readonly repository: RepositoryName;
}

/** Undefined without a token, and for a remote that is not the GitHub the token belongs to. */
export function runnerForge(
  url: string,
  env: Readonly<Record<string, string | undefined>>,
): RunnerForge | undefined {
  const repository = repositoryOfUrl(url);
  const token = env["GITHUB_TOKEN"] ?? env["GH_TOKEN"] ?? "";
  if (repository === undefined || token === "" || hostOf(url) !== forgeHost(env)) return undefined;
  return { forge: forgeFromEnvironment(env), repository };
}

function hostOf(url: string): string | undefined {
  if (URL.canParse(url)) return new URL(url).hostname;
  return /^[^/@]+@([^/:]+):/.exec(url)?.[1];
}

/** The API of an enterprise server is at its own name, that of github.com is not. */
function forgeHost(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const api = env["GITHUB_API_URL"] ?? "https://api.github.com";
  if (!URL.canParse(api)) return undefined;
  const { hostname } = new URL(api);
  return hostname === "api.github.com" ? "github.com" : hostname;
}
