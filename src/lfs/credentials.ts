/** Credentials from git's helpers, for one address at a time and without ever asking a person. */
import type { Git } from "../git/git.ts";

export interface Credential {
  /** What `git credential` printed, to be told whether it was right. */
  readonly description: string;
  readonly authorization: string;
}

/** No window and no terminal: git would otherwise ask through these. */
const NEVER_ASK = { GIT_ASKPASS: "", SSH_ASKPASS: "", GCM_INTERACTIVE: "never" };

/** What the helpers know for an address; undefined when it is nothing. */
export async function fillCredential(git: Git, url: string): Promise<Credential | undefined> {
  const { protocol, host, pathname } = new URL(url);
  const input = `protocol=${protocol.replace(":", "")}\nhost=${host}\npath=${pathname.slice(1)}\n\n`;
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
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
  return { description: stdout, authorization };
}

/** Tells the helpers whether the server took it, so that they keep or forget it. */
export async function judgeCredential(
  git: Git,
  credential: Credential,
  verdict: "approve" | "reject",
): Promise<void> {
  await git.run({ args: ["credential", verdict], input: `${credential.description}\n`, env: NEVER_ASK });
}
