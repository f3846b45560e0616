/**
 * Tokens for git servers from the environment, for machines without a credential helper (CI, hosts).
 *
 *     CUI_GIT_TOKEN_GIT_EXAMPLE_ORG           for https://git.example.org
 *     CUI_GIT_TOKEN_MY__FORGE_EXAMPLE_ORG     for https://my-forge.example.org     (`__` is a dash)
 *     CUI_GIT_TOKEN_GIT_EXAMPLE_ORG___8443    for https://git.example.org:8443     (`___` is a colon)
 *
 * They become a credential helper for exactly that address, so that git, git-lfs and the Git LFS client get them from the same
 * place, git decides which address a token belongs to, and no token is ever an argument.
 */

const PREFIX = "CUI_GIT_TOKEN_";

/** Runs in the shell git starts helpers with; all it names is a variable of a checked name. */
const helperFor = (variable: string): string =>
  `!f() { test "$1" = get && printf 'username=cui\\npassword=%s\\n' "$${variable}"; }; f`;

/** What to add to git's environment. */
export function tokenEnvironment(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const settings = Object.keys(env).flatMap((variable) => {
    const address = addressOf(variable);
    const token = env[variable];
    if (address === undefined || token === undefined || !/^[\u0021-\u007e]+$/.test(token)) return [];
    const key = `credential.${address}.helper`;
    // The empty one takes other helpers out: they neither answer in its place nor store it.
    return [[key, ""] as const, [key, helperFor(variable)] as const];
  });
  if (settings.length === 0) return {};
  const first = Number(env["GIT_CONFIG_COUNT"] ?? 0);
  const numbered = settings.flatMap(([key, value], index) => [
    [`GIT_CONFIG_KEY_${first + index}`, key] as const,
    [`GIT_CONFIG_VALUE_${first + index}`, value] as const,
  ]);
  return { ...Object.fromEntries(numbered), GIT_CONFIG_COUNT: String(first + settings.length) };
}

/** The address a variable is for; undefined when it is none of ours. In clear it goes to this machine only. */
function addressOf(variable: string): string | undefined {
  if (!variable.startsWith(PREFIX)) return undefined;
  const host = variable.slice(PREFIX.length).toLowerCase().replace(/_+/g, decodeRun);
  if (!/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$/.test(host)) return undefined;
  return `${/^(127\.\d+\.\d+\.\d+|localhost)(:|$)/.test(host) ? "http" : "https"}://${host}`;
}

/** One is a dot, two a dash, three a colon, four two dashes (`xn--`). */
function decodeRun(run: string): string {
  return [".", "-", ":", "--"][run.length - 1] ?? "_";
}
