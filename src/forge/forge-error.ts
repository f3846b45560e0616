/** GitHub's refusals as CollectiveErrors: what was asked, what came, what to do; never a token, a header or a body. */
import { visible } from "../diagnostics.ts";
import { CollectiveError, type ErrorCode } from "../errors.ts";

/** What went wrong with one request, as far as the forge may tell. */
export interface FailedRequest {
  readonly method: string;
  /** Path below the API's address, without a query. */
  readonly path: string;
  /** Undefined: no answer came. */
  readonly status: number | undefined;
  /** GitHub's words, or the network's. */
  readonly message: string;
  /** Of a limit: how long GitHub asks to wait. */
  readonly retryAfterMs?: number;
  /** GitHub's `errors[].code`, for a 422. */
  readonly reasons?: readonly string[];
  /** True when the request may have been carried out although it failed: a lost answer, a 5xx. */
  readonly isAmbiguous: boolean;
}

interface Kind {
  readonly code: ErrorCode;
  readonly text: string;
  readonly hint: string;
}

const MAXIMUM_MESSAGE = 500;

const byStatus: Readonly<Record<number, Kind>> = {
  401: {
    code: "FORGE_UNAUTHORIZED",
    text: "GitHub does not accept the token",
    hint: "the token may have expired or been revoked; set GITHUB_TOKEN to a valid one",
  },
  403: {
    code: "FORGE_FORBIDDEN",
    text: "the token may not do this",
    hint: "give the job the permission it lacks (`permissions:` in the workflow) or use a token that has it; the account's plan may not have the feature",
  },
  404: {
    code: "FORGE_NOT_FOUND",
    text: "GitHub knows no such thing, or hides it from this token",
    hint: "check the name; GitHub also answers like this when the token lacks the right to see or change it",
  },
  409: {
    code: "FORGE_CONFLICT",
    text: "something else changed it meanwhile",
    hint: "run the command again: it starts from what is there now",
  },
};

const limited: Kind = {
  code: "FORGE_RATE_LIMITED",
  text: "GitHub limits the number of requests, and the wait it asks for is longer than allowed",
  hint: "run the command again later",
};

const unavailable: Kind = {
  code: "FORGE_UNAVAILABLE",
  text: "GitHub has a problem of its own",
  hint: "githubstatus.com may know more; run the command again later",
};

const unreachable: Kind = {
  code: "FORGE_UNREACHABLE",
  text: "GitHub cannot be reached",
  hint: "check the network and GITHUB_API_URL, then run the command again",
};

const refused: Kind = {
  code: "FORGE_REFUSED",
  text: "GitHub refuses the request",
  hint: "its reason stands in the message",
};

export function forgeError(failed: FailedRequest): CollectiveError {
  const { code, text, hint } = kindOf(failed);
  const { method, path, status, retryAfterMs, reasons = [], isAmbiguous } = failed;
  const answer = status === undefined ? "" : `${status} `;
  const words = visible(failed.message.slice(0, MAXIMUM_MESSAGE));
  const wait = retryAfterMs === undefined ? "" : ` (wait ${Math.ceil(retryAfterMs / 1000)} s)`;
  return new CollectiveError(code, `${text}${wait}: ${method} ${path}: ${answer}${words}`, {
    data: {
      method,
      path,
      status,
      reasons,
      isAmbiguous,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    },
    hint,
  });
}

function kindOf({ status, retryAfterMs }: FailedRequest): Kind {
  if (status === undefined) return unreachable;
  if (retryAfterMs !== undefined || status === 429) return limited;
  if (status >= 500) return unavailable;
  return byStatus[status] ?? refused;
}

/** True for a failure after which nobody knows whether the request was carried out. */
export function isAmbiguous(error: unknown): boolean {
  return error instanceof CollectiveError && error.data["isAmbiguous"] === true;
}

export function hasCode(error: unknown, ...codes: readonly ErrorCode[]): error is CollectiveError {
  return error instanceof CollectiveError && codes.includes(error.code);
}

/** True when GitHub's 422 says that the thing is there already. */
export function alreadyExists(error: unknown): boolean {
  return hasCode(error, "FORGE_REFUSED") && (error.data["reasons"] as string[]).includes("already_exists");
}
