/** Requests to the server of one repository, with credentials when it asks for them: those git has, only for its own address. */
import {
  fillCredential,
  judgeCredential,
  knownCredential,
  type Credential,
  type CredentialRequest,
} from "./credentials.ts";
import type { Git } from "../git/git.ts";
import type { UrlCredential } from "../git/reached-url.ts";
import type { LfsEndpoint } from "./endpoint.ts";
import { readText, replyError, type HttpReply, type LfsHttp } from "./http.ts";
import { addressOf, unexpectedReply } from "./lfs-errors.ts";

export const LFS_MEDIA_TYPE = "application/vnd.git-lfs+json";
const MAX_REPLY_BYTES = 16 * 1024 * 1024;

export interface ApiOptions {
  readonly http: LfsHttp;
  /** Asked again when what it said has expired. */
  readonly findEndpoint: () => Promise<LfsEndpoint>;
  /** Whose configuration names the helpers. */
  readonly git: Git;
  /** What git would take from the repository's URL. */
  readonly inUrl: UrlCredential | undefined;
  /** `http.extraHeader` of git. */
  readonly extraHeaders: Readonly<Record<string, string>>;
}

export interface LfsApi {
  /** The batch API's address, for messages. */
  where(): Promise<string>;
  /**
   * Asks `objects/batch`. Resolves also for 413, which is the caller's to answer with less.
   * @throws CollectiveError LFS_UNAUTHORIZED, LFS_REFUSED, LFS_STORAGE_FULL, LFS_UNEXPECTED_REPLY and those of `LfsHttp.send`
   */
  batch(body: unknown): Promise<{ readonly status: number; readonly content: unknown }>;
}

export function openApi(options: ApiOptions): LfsApi {
  const session: Session = { options, endpoint: undefined, credential: undefined, judged: false };
  return {
    where: async () => `${(await endpointOf(session)).url}/objects/batch`,
    batch: (body) => ask(session, JSON.stringify(body)),
  };
}

/** What was learned; shared by all requests. */
interface Session {
  readonly options: ApiOptions;
  endpoint: Promise<LfsEndpoint> | undefined;
  /** Filled once for all who need it, for one origin: what git knows, and when that is refused, what its helpers say. */
  credential:
    | {
        readonly origin: string;
        readonly isFromHelpers: boolean;
        readonly filled: Promise<Credential | undefined>;
      }
    | undefined;
  judged: boolean;
}

const EXPIRES_SOON_MS = 5000;

async function endpointOf(session: Session): Promise<LfsEndpoint> {
  const known = await session.endpoint;
  if (known !== undefined && (known.expiresAtMs ?? Infinity) - Date.now() > EXPIRES_SOON_MS) return known;
  session.endpoint = session.options.findEndpoint();
  return session.endpoint;
}

async function ask(session: Session, body: string): Promise<{ status: number; content: unknown }> {
  const endpoint = await endpointOf(session);
  let url = `${endpoint.url}/objects/batch`;
  let credential = await currentCredential(session, url);
  let reply = await post(session, { url, body, headers: headersFor(session, endpoint, url, credential) });
  while (isRefused(reply, credential)) {
    url = reply.url;
    if (credential !== undefined) await rejectCredential(session, credential, reply);
    const refusal = await replyError(reply);
    credential = await nextCredential(session, url, { refused: credential, endpoint });
    if (credential === undefined) throw refusal;
    reply = await post(session, { url, body, headers: headersFor(session, endpoint, url, credential) });
  }
  if (reply.status === 413) {
    reply.body.on("error", () => undefined).destroy();
    return { status: 413, content: undefined };
  }
  if (reply.status !== 200) throw await replyError(reply);
  if (credential !== undefined) await judge(session, credential, "approve");
  return { status: 200, content: await contentOf(reply) };
}

/** A private repository is shown as missing, or forbidden, to who says no name. */
function isRefused({ status }: HttpReply, credential: Credential | undefined): boolean {
  return status === 401 || (credential === undefined && (status === 403 || status === 404));
}

function post(
  { options }: Session,
  { url, body, headers }: { url: string; body: string; headers: Record<string, string> },
): Promise<HttpReply> {
  return options.http.send({ method: "POST", url, headers, body: () => body });
}

function headersFor(
  { options }: Session,
  endpoint: LfsEndpoint,
  url: string,
  credential: Credential | undefined,
): Record<string, string> {
  const isOwn = new URL(url).origin === new URL(endpoint.url).origin;
  return {
    ...(isOwn ? { ...options.extraHeaders, ...endpoint.headers } : {}),
    ...(credential === undefined ? {} : { Authorization: credential.authorization }),
    Accept: LFS_MEDIA_TYPE,
    "Content-Type": LFS_MEDIA_TYPE,
    "User-Agent": "cui",
  };
}

async function currentCredential({ credential }: Session, url: string): Promise<Credential | undefined> {
  return credential?.origin === new URL(url).origin ? credential.filled : undefined;
}

/** One that was not refused yet; undefined when there is none. */
async function nextCredential(
  session: Session,
  url: string,
  { refused, endpoint }: { readonly refused: Credential | undefined; readonly endpoint: LfsEndpoint },
): Promise<Credential | undefined> {
  const { git, inUrl } = session.options;
  const { origin } = new URL(url);
  // Helpers know repositories, not endpoints below them.
  const repository = url.replace(/(\.git)?\/info\/lfs\/.*$/, "");
  const request = { url: repository, inUrl, isOwn: origin === new URL(endpoint.url).origin };
  const { credential } = session;
  if (credential?.origin !== origin) {
    session.credential = { origin, isFromHelpers: false, filled: firstCredential(git, request) };
    session.judged = false;
  } else if (refused !== undefined) {
    if (refused.description !== undefined) return undefined;
    if (!credential.isFromHelpers) {
      session.credential = { origin, isFromHelpers: true, filled: fillCredential(git, request) };
    }
  }
  return session.credential?.filled;
}

async function firstCredential(git: Git, request: CredentialRequest): Promise<Credential | undefined> {
  return (await knownCredential(git, request)) ?? fillCredential(git, request);
}

/** A credential that was not sent (the request was redirected to another address) was not refused. */
async function rejectCredential(session: Session, credential: Credential, reply: HttpReply): Promise<void> {
  if (reply.sentHeaders["Authorization"] === credential.authorization)
    await judge(session, credential, "reject");
}

async function judge(session: Session, credential: Credential, verdict: "approve" | "reject"): Promise<void> {
  if (session.judged || credential.description === undefined) return;
  session.judged = true;
  await judgeCredential(session.options.git, credential, verdict);
}

async function contentOf(reply: HttpReply): Promise<unknown> {
  const text = await readText(reply, MAX_REPLY_BYTES);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw unexpectedReply(addressOf(reply.url), "something else than JSON");
  }
}
