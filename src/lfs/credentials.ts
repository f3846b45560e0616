/** Credentials as git has them (in a URL, in `~/.netrc`, from its helpers), for one address at a time and without ever asking a person. */
import type { Git } from "../git/git.ts";
import type { UrlCredential } from "../git/reached-url.ts";
import { findInNetrc } from "./netrc.ts";

export interface Credential {
  /** What `git credential` printed, to be told whether it was right; undefined where no helper gave it. */
  readonly description: string | undefined;
  readonly authorization: string;
}

/** No window and no terminal: git would otherwise ask through these. */
const NEVER_ASK = { GIT_ASKPASS: "", SSH_ASKPASS: "", GCM_INTERACTIVE: "never" };

export interface CredentialRequest {
  readonly url: string;
  /** What git would take from the repository's own URL. */
  readonly inUrl: UrlCredential | undefined;
  /** Whether the address is the repository's own, and not one it led to. */
  readonly isOwn: boolean;
}

/** What git would send without asking a helper: from the URL, else from `~/.netrc`; undefined when it is nothing. */
export async function knownCredential(
  git: Git,
  { url, inUrl, isOwn }: CredentialRequest,
): Promise<Credential | undefined> {
  const given = isOwn ? inUrl : undefined;
  if (given !== undefined && given.password !== "") return basic(given);
  const wanted = { host: new URL(url).hostname, login: given?.username, allowsDefault: isOwn };
  const found = await findInNetrc(git.env, wanted);
  return found === undefined ? undefined : basic({ username: found.login, password: found.password });
}

/** No helper gave it, and none is told. */
function basic({ username, password }: UrlCredential): Credential {
  return { description: undefined, authorization: authorizationOf(username, password) };
}

function authorizationOf(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

/** What the helpers know for an address; undefined when it is nothing. */
export async function fillCredential(
  git: Git,
  { url, inUrl, isOwn }: CredentialRequest,
): Promise<Credential | undefined> {
  const { protocol, host, pathname } = new URL(url);
  const user = isOwn && inUrl !== undefined ? `username=${inUrl.username}\n` : "";
  const input = `protocol=${protocol.replace(":", "")}\nhost=${host}\npath=${pathname.slice(1)}\n${user}\n`;
  const { stdout, exitCode } = await git.status({
    args: ["credential", "fill"],
    input,
    env: NEVER_ASK,
  });
  if (exitCode !== 0) return undefined;
  const fields = new Map(
    stdout.split("\n").map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
  const [username, password] = [fields.get("username") ?? "", fields.get("password") ?? ""];
  // A helper may say anything: what it names must be the address that was asked for.
  if (fields.get("host") !== host || (username === "" && password === "")) return undefined;
  return { description: stdout, authorization: authorizationOf(username, password) };
}

/** Tells the helpers whether the server took it, so that they keep or forget it. */
export async function judgeCredential(
  git: Git,
  credential: Credential,
  verdict: "approve" | "reject",
): Promise<void> {
  if (credential.description === undefined) return;
  await git.run({ args: ["credential", verdict], input: `${credential.description}\n`, env: NEVER_ASK });
}
