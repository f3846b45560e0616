/** GitHub through octokit: one address, one token, bounded retries, typed errors without the token in them. */
import { Octokit, RequestError } from "octokit";
import { CollectiveError, messageOf } from "../errors.ts";
import { hasCode, type FailedRequest } from "./forge-error.ts";
import { DEFAULT_LIMITS, type Forge, type RetryLimits } from "./forge.ts";
import { createPace, withRetries } from "./retry.ts";

export interface ForgeOptions {
  readonly token: string;
  /** Default https://api.github.com; what GitHub Enterprise calls GITHUB_API_URL. */
  readonly apiUrl?: string | undefined;
  /** Whose comments are ours, where GitHub would not tell; default: GitHub is asked. */
  readonly login?: string | undefined;
  readonly limits?: Partial<RetryLimits> | undefined;
}

/** Who a job's own token is, where GitHub does not say. */
const ACTIONS_LOGIN = "github-actions[bot]";
/** GitHub's word for a limit without a Retry-After is "wait at least one minute". */
const UNNAMED_WAIT_MS = 60_000;

/** @throws CollectiveError FORGE_ADDRESS when the token would go out unencrypted. */
export function createForge(options: ForgeOptions): Forge {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const baseUrl = checkAddress(options.apiUrl ?? "https://api.github.com");
  const octokit = new Octokit({
    auth: options.token,
    baseUrl,
    userAgent: "collective-cui",
    retry: { enabled: false },
    throttle: { enabled: false },
    log: { debug: ignore, info: ignore, warn: ignore, error: ignore },
    request: { fetch: fetchWithin(limits.timeoutMs) },
  });
  const pace = createPace({ intervalMs: limits.writeIntervalMs, burst: limits.writeBurst });
  octokit.hook.wrap("request", async (request, endpoint) => {
    const { method } = endpoint;
    const { pathname } = new URL(octokit.request.endpoint(endpoint).url);
    const path = pathname.slice(new URL(baseUrl).pathname.replace(/\/$/, "").length);
    const once = async () => {
      if (method !== "GET") await pace();
      const response = await request(endpoint);
      refuseForeignReply(response, { method, path });
      return response;
    };
    const isRepeatable = method !== "POST" && endpoint.request["retries"] !== 0;
    return withRetries(once, {
      limits,
      isRepeatable,
      describe: (error) => describeFailure(error, { method, path, token: options.token }),
    });
  });
  let login: Promise<string> | undefined;
  return {
    rest: octokit.rest,
    paginate: octokit.paginate,
    limits,
    login: () => (login ??= options.login === undefined ? askLogin(octokit) : Promise.resolve(options.login)),
  };
}

/**
 * A forge from what a job has: GITHUB_TOKEN (or GH_TOKEN) and GITHUB_API_URL.
 * @throws CollectiveError FORGE_NO_TOKEN.
 */
export function forgeFromEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  options: Omit<ForgeOptions, "token" | "apiUrl"> = {},
): Forge {
  const token = env["GITHUB_TOKEN"] ?? env["GH_TOKEN"] ?? "";
  if (token === "") {
    throw new CollectiveError("FORGE_NO_TOKEN", "there is no token for GitHub in GITHUB_TOKEN or GH_TOKEN", {
      hint: "in a workflow pass `github-token`, elsewhere: export GITHUB_TOKEN=$(gh auth token)",
    });
  }
  return createForge({ ...options, token, apiUrl: env["GITHUB_API_URL"] });
}

function checkAddress(apiUrl: string): string {
  const url = URL.canParse(apiUrl) ? new URL(apiUrl) : undefined;
  const isLoopback = url !== undefined && ["127.0.0.1", "[::1]", "localhost"].includes(url.hostname);
  if (url !== undefined && (url.protocol === "https:" || (url.protocol === "http:" && isLoopback))) {
    return url.href.replace(/\/$/, "");
  }
  throw new CollectiveError(
    "FORGE_ADDRESS",
    "expected GitHub's API at an https address, so that the token stays secret",
    {
      hint: "GITHUB_API_URL looks like https://api.github.com, or https://github.example.org/api/v3",
    },
  );
}

function fetchWithin(timeoutMs: number): typeof fetch {
  return (input, init) => {
    const signals = [AbortSignal.timeout(timeoutMs), ...(init?.signal ? [init.signal] : [])];
    return fetch(input, { ...init, signal: AbortSignal.any(signals) });
  };
}

/** A proxy's login page is no answer of GitHub's: octokit would hand its text on as data. */
function refuseForeignReply(
  response: {
    readonly status: number;
    readonly headers: { readonly "content-type"?: string | undefined };
    readonly data: unknown;
  },
  { method, path }: { method: string; path: string },
): void {
  const type = response.headers["content-type"] ?? "";
  if (response.status === 204 || typeof response.data !== "string" || /zip|octet-stream/.test(type)) return;
  throw new CollectiveError(
    "FORGE_UNEXPECTED_REPLY",
    `expected JSON from GitHub, got ${type === "" ? "nothing" : type.slice(0, 80)}: ${method} ${path}`,
    {
      hint: "a proxy may have answered in GitHub's place; check GITHUB_API_URL",
    },
  );
}

function describeFailure(
  error: unknown,
  { method, path, token }: { method: string; path: string; token: string },
): FailedRequest {
  const message = messageOf(error).replaceAll(token, "[token]");
  if (!(error instanceof RequestError) || error.response === undefined) {
    return { method, path, status: undefined, message, isAmbiguous: true };
  }
  const { status, response } = error;
  const wait = limitWait(status, response.headers, message);
  return {
    method,
    path,
    status,
    message,
    ...(wait === undefined ? {} : { retryAfterMs: wait }),
    reasons: reasonsOf(response.data),
    isAmbiguous: status >= 500,
  };
}

/** How long a limit asks to wait; undefined when it is none. */
function limitWait(
  status: number,
  headers: Readonly<Record<string, string | number | undefined>>,
  message: string,
): number | undefined {
  const retryAfter = Number(headers["retry-after"]);
  const isNamed = headers["retry-after"] !== undefined && Number.isFinite(retryAfter) && retryAfter >= 0;
  if (status === 403 || status === 429) {
    if (isNamed) return retryAfter * 1000;
    if (headers["x-ratelimit-remaining"] === "0") {
      return Math.max(0, Number(headers["x-ratelimit-reset"] ?? 0) * 1000 - Date.now()) + 1000;
    }
    if (status === 429 || /secondary rate limit/i.test(message)) return UNNAMED_WAIT_MS;
  }
  return undefined;
}

function reasonsOf(data: unknown): string[] {
  const { errors } = (typeof data === "object" && data !== null ? data : {}) as { errors?: unknown };
  if (!Array.isArray(errors)) return [];
  return errors.flatMap((error: unknown) => {
    const { code } = (typeof error === "object" && error !== null ? error : {}) as { code?: unknown };
    return typeof code === "string" ? [code] : [];
  });
}

/** A person's token tells its user; an app's token may only ask GraphQL. */
async function askLogin(octokit: Octokit): Promise<string> {
  try {
    return (await octokit.rest.users.getAuthenticated()).data.login;
  } catch (error) {
    if (!hasCode(error, "FORGE_FORBIDDEN", "FORGE_NOT_FOUND")) throw error;
  }
  try {
    return (await octokit.graphql<{ viewer: { login: string } }>("{ viewer { login } }")).viewer.login;
  } catch (error) {
    if (!hasCode(error, "FORGE_FORBIDDEN", "FORGE_NOT_FOUND")) throw error;
    return ACTIONS_LOGIN;
  }
}

function ignore(): void {
  // What octokit would print could hold what a token may see.
}
