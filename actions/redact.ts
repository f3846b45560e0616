/** What must not leave a job: its tokens and secrets, wherever in a text they turn up. The last net, not the first. */

export type Redactor = (text: string) => string;

const SECRET_NAMES = /(^|[_-])(TOKEN|SECRET|PASSWORD|PASSPHRASE)([_-]|$)/i;
/** Shorter ones are words that also stand elsewhere. */
const SHORTEST_SECRET = 8;

/** Knows the values of variables that are named like secrets, also as git's basic authentication has them. */
export function createRedactor(env: Readonly<Record<string, string | undefined>>): Redactor {
  const secrets = new Set<string>();
  for (const [name, value] of Object.entries(env)) {
    const secret = value?.trim() ?? "";
    if (!SECRET_NAMES.test(name) || secret.length < SHORTEST_SECRET) continue;
    secrets.add(secret);
    secrets.add(Buffer.from(`x-access-token:${secret}`).toString("base64"));
  }
  const longestFirst = [...secrets].sort((a, b) => b.length - a.length);
  return (text) => longestFirst.reduce((rest, secret) => rest.replaceAll(secret, "[secret]"), text);
}
