/** What a Git LFS server's answers mean. */
import { visible } from "../diagnostics.ts";
import { CollectiveError, type ErrorCode, messageOf } from "../errors.ts";

export interface AnsweredError {
  readonly status: number;
  /** Whom it came from, in messages: an address without its query. */
  readonly where: string;
  /** The server's own words. */
  readonly said: string;
}

/** The error for a status that is no success and is not tried again. */
export function statusError({ status, where, said }: AnsweredError): CollectiveError {
  const [code, hint] = meaningOf(status);
  const words = visible(said).slice(0, 300);
  return new CollectiveError(code, `${where} answered ${status}${words === "" ? "" : `: ${words}`}`, {
    data: { status, where },
    hint,
  });
}

function meaningOf(status: number): readonly [ErrorCode, string] {
  if (status === 401 || status === 403) {
    return [
      "LFS_UNAUTHORIZED",
      "git's credential helpers are asked, and CUI_GIT_TOKEN_<HOST>; docs/repository.md says how to set them",
    ];
  }
  if (status === 429) return ["LFS_RATE_LIMITED", "run the command again later"];
  if (status === 507) return ["LFS_STORAGE_FULL", "the server has no room; its administrator can make some"];
  if (status === 509) return ["LFS_STORAGE_FULL", "the account's transfer volume is used up"];
  if (status >= 500) return ["LFS_UNREACHABLE", "run the command again later"];
  if (status === 404 || status === 410)
    return ["LFS_REFUSED", "there is no such repository, or it has no Git LFS"];
  return ["LFS_REFUSED", "read what the server says"];
}

export function unexpectedReply(where: string, why: string): CollectiveError {
  return new CollectiveError("LFS_UNEXPECTED_REPLY", `${where} answered ${why}`, {
    data: { where },
    hint: "something other than a Git LFS server may have answered (a proxy, a login page)",
  });
}

export function unreachable(where: string, cause: unknown): CollectiveError {
  const why = messageOf(cause);
  return new CollectiveError("LFS_UNREACHABLE", `${where} cannot be reached: ${why}`, {
    data: { where },
    hint: "check the network and the address; running the command again goes on from what is there",
    cause,
  });
}

/** An address for messages: signed links carry secrets in their query. */
export function addressOf(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}
