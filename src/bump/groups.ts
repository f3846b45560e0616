/** Which updates go together: the groups of bump.yaml, else one group for each repository. */
import { createHash } from "node:crypto";
import type { Update } from "./find-updates.ts";
import { matchesRepository } from "../git/repository-identity.ts";
import type { BumpRules } from "./rules.ts";

export interface UpdateGroup {
  /** Names branch and pull request: letters, digits, `_` and `-`. */
  readonly name: string;
  readonly updates: readonly Update[];
}

/**
 * An update whose upstream was locked with it goes along with that upstream. `urls` are all repositories of the closure: names
 * must not depend on which of them have news.
 */
export function groupUpdates(
  updates: readonly Update[],
  { rules, urls }: { readonly rules: BumpRules; readonly urls: readonly string[] },
): readonly UpdateGroup[] {
  const names = repositoryNames(urls, rules);
  const groups = new Map<string, Update[]>();
  for (const update of updates) {
    const name = groupOf(update, rules, names);
    groups.set(name, [...(groups.get(name) ?? []), update]);
  }
  return [...groups]
    .map(([name, members]) => ({ name, updates: members }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function groupOf(update: Update, rules: BumpRules, names: ReadonlyMap<string, string>): string {
  const configured = (url: string): string | undefined =>
    rules.groups.find(({ urls }) => urls.some((pattern) => matchesRepository(pattern, url)))?.name;
  const own = configured(update.url);
  if (own !== undefined) return own;
  const carrier = update.carriers[0];
  const url = carrier ?? update.url;
  return configured(url) ?? names.get(url) ?? nameOf(url);
}

/** Two repositories that would be called the same get the beginning of a digest. */
function repositoryNames(urls: readonly string[], rules: BumpRules): ReadonlyMap<string, string> {
  const count = new Map<string, number>();
  const add = (name: string): void =>
    void count.set(name.toLowerCase(), (count.get(name.toLowerCase()) ?? 0) + 1);
  for (const url of new Set(urls)) add(nameOf(url));
  for (const { name } of rules.groups) add(name);
  return new Map(
    urls.map((url) => {
      const name = nameOf(url);
      if (count.get(name.toLowerCase()) === 1) return [url, name];
      return [url, `${name}-${createHash("sha256").update(url).digest("hex").slice(0, 8)}`];
    }),
  );
}

/** A short name for people: `https://github.com/acme/DNS.git` is DNS. Letters, digits, `_` and `-` alone. */
export function repositoryLabel(url: string): string {
  const last =
    url
      .replace(/\.git$/, "")
      .split(/[/:]/)
      .at(-1) ?? "";
  const name = last.replaceAll(/[^A-Za-z0-9_-]+/g, "-").slice(0, 60);
  return name === "" ? "an appliance" : name;
}

/** The last two parts of the path: `https://github.com/acme/DNS.git` is `acme-DNS`. */
function nameOf(url: string): string {
  const parts = url
    .replace(/^[a-z]+:\/\/[^/]*/, "")
    .replace(/^[^/]*:/, "")
    .replace(/\.git$/, "")
    .split("/")
    .filter((part) => part !== "");
  const name = parts
    .slice(-2)
    .join("-")
    .replaceAll(/[^A-Za-z0-9_-]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 60);
  return name === "" ? "all" : name;
}
