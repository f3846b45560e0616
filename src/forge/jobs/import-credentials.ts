/** A read-only token for private imports, for git alone, in the environment alone: sent to the forge's own address, nowhere else. */

/** Undefined without a token. @see git-config(1), "GIT_CONFIG_COUNT" and "http.<url>.*" */
export function importCredentials(
  token: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> | undefined {
  if (token === undefined) return undefined;
  const server = (env["GITHUB_SERVER_URL"] ?? "https://github.com").replace(/\/$/, "");
  const index = Number(env["GIT_CONFIG_COUNT"] ?? "0") || 0;
  const basic = Buffer.from(`x-access-token:${token}`).toString("base64");
  return {
    GIT_CONFIG_COUNT: String(index + 1),
    [`GIT_CONFIG_KEY_${index}`]: `http.${server}/.extraheader`,
    [`GIT_CONFIG_VALUE_${index}`]: `Authorization: Basic ${basic}`,
  };
}
