/** What a handler of the test server gets and gives. */
import type { ServerState, ServerUser, StoredRepository } from "./github-server-state.ts";

export interface Call {
  readonly state: ServerState;
  readonly user: ServerUser;
  /** `http://127.0.0.1:port` */
  readonly origin: string;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly url: URL;
  /** Checked against the description before; a handler states the part it reads. */
  readonly body: unknown;
}

export interface Reply {
  readonly status: number;
  /** The fields that carry meaning; the others the description requires are filled in. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export type Handler = (call: Call) => Reply | Promise<Reply>;

export interface FieldError {
  readonly resource?: string;
  readonly field?: string;
  readonly code: string;
  readonly message?: string;
}

/** Thrown by a handler: GitHub's answer to a request it does not carry out. */
export class Refusal extends Error {
  readonly status: number;
  readonly errors: readonly FieldError[] | undefined;

  constructor(status: number, message: string, errors?: readonly FieldError[]) {
    super(message);
    this.status = status;
    this.errors = errors;
  }
}

export function notFound(): Refusal {
  return new Refusal(404, "Not Found");
}

export function invalid(error: FieldError): Refusal {
  return new Refusal(422, "Validation Failed", [error]);
}

export function repositoryOf(call: Call): StoredRepository {
  const found = call.state.repositories.get(`${call.params["owner"]}/${call.params["repo"]}`.toLowerCase());
  if (found === undefined) throw notFound();
  return found;
}

/** GitHub hides from those without the right what they may not change. */
export function requireAdmin(call: Call): void {
  if (call.user.role === "admin") return;
  throw call.user.type === "Bot" ? new Refusal(403, "Resource not accessible by integration") : notFound();
}

export function numberParam(call: Call, name: string): number {
  return Number(call.params[name]);
}

export function findById<Item extends { readonly id: number }>(
  call: Call,
  items: readonly Item[],
  param: string,
): Item {
  const found = items.find(({ id }) => id === numberParam(call, param));
  if (found === undefined) throw notFound();
  return found;
}

/** One page of a list and the Link header to the next, as GitHub does it. */
export function page<Item>(
  call: Call,
  items: readonly Item[],
): { items: Item[]; headers: Record<string, string> } {
  const perPage = Math.min(100, Number(call.query["per_page"] ?? 30));
  const number = Number(call.query["page"] ?? 1);
  const last = Math.max(1, Math.ceil(items.length / perPage));
  const links: string[] = [];
  const link = (target: number, relation: string) => {
    const url = new URL(call.url);
    url.searchParams.set("page", String(target));
    links.push(`<${url.href}>; rel="${relation}"`);
  };
  if (number < last) {
    link(number + 1, "next");
    link(last, "last");
  }
  return {
    items: items.slice((number - 1) * perPage, number * perPage),
    headers: links.length > 0 ? { link: links.join(", ") } : {},
  };
}

export function userView(user: ServerUser): Record<string, unknown> {
  return { login: user.login, id: user.id, type: user.type, site_admin: false };
}
