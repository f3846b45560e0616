/** How a request is refused: thrown where the reason is known, answered in one place. */

/** Answered with `status` and the message, as plain text to git and as JSON to git-lfs. */
export class Refusal extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = "Refusal";
    this.status = status;
    this.headers = headers;
  }
}

/** Asks for credentials the ways git and git-lfs look for. */
export function unauthorized(message: string): Refusal {
  return new Refusal(401, message, {
    "WWW-Authenticate": 'Basic realm="git", charset="UTF-8"',
    "LFS-Authenticate": 'Basic realm="git"',
  });
}

/** One text for what is not there and for what must not be seen. */
export function notFound(): Refusal {
  return new Refusal(404, "there is no such repository or object here");
}
