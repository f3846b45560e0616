/** How git and git-lfs of a job reach repositories on its forge: a token for one URL prefix, in the environment alone. */

export interface GitCredential {
  /** `https://github.com/acme/DNS`: the token is sent to it and below it, and nowhere else. */
  readonly urlPrefix: string;
  readonly token: string;
}

/**
 * Variables that give git these credentials, beside what `env` configures already. Nothing is written to a file.
 * @see git-config(1), "GIT_CONFIG_COUNT" and "http.<url>.*"
 */
export function gitCredentialVariables(
  credentials: readonly GitCredential[],
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const present = Number(env["GIT_CONFIG_COUNT"] ?? "0") || 0;
  const variables: Record<string, string> = {
    GIT_CONFIG_COUNT: String(present + credentials.length),
  };
  for (const [index, { urlPrefix, token }] of credentials.entries()) {
    const basic = Buffer.from(`x-access-token:${token}`).toString("base64");
    variables[`GIT_CONFIG_KEY_${present + index}`] = `http.${urlPrefix}.extraheader`;
    variables[`GIT_CONFIG_VALUE_${present + index}`] = `Authorization: Basic ${basic}`;
  }
  return variables;
}

/** A read-only token for private imports: sent to the forge's own address, nowhere else. Undefined without a token. */
export function importCredentials(
  token: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> | undefined {
  return token === undefined
    ? undefined
    : gitCredentialVariables([{ urlPrefix: `${serverUrl(env)}/`, token }], env);
}

/** The URL git reaches the job's own repository at. */
export function ownRepositoryUrl(env: Readonly<Record<string, string | undefined>>): string {
  return `${serverUrl(env)}/${env["GITHUB_REPOSITORY"] ?? ""}`;
}

function serverUrl(env: Readonly<Record<string, string | undefined>>): string {
  return (env["GITHUB_SERVER_URL"] ?? "https://github.com").replace(/\/$/, "");
}
