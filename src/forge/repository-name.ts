/** `owner/name` of a repository on GitHub: from a word, or from a remote's URL. */
import { visible } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import type { RepositoryName } from "./forge.ts";
import type { Git } from "../git/git.ts";
import { configValue } from "../git/config.ts";

const OWNER = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})$/;
const NAME = /^[A-Za-z0-9._-]{1,100}$/;

/** @throws CollectiveError FORGE_REPOSITORY_NAME. */
export function parseRepositoryName(text: string): RepositoryName {
  const [owner = "", name = "", ...rest] = text.split("/");
  if (rest.length > 0 || !OWNER.test(owner) || !NAME.test(name) || name === "." || name === "..") {
    throw new CollectiveError(
      "FORGE_REPOSITORY_NAME",
      `expected a repository as owner/name, got "${visible(text.slice(0, 200))}"`,
      { hint: "write it as in the address of its page on GitHub: acme/site" },
    );
  }
  return { owner, name };
}

export function formatRepositoryName({ owner, name }: RepositoryName): string {
  return `${owner}/${name}`;
}

/**
 * The repository `remote.origin.url` of a clone names, whatever the host.
 * @throws CollectiveError FORGE_REPOSITORY_NAME where there is no such remote or it has no owner and name.
 */
export async function repositoryOfClone(git: Git): Promise<RepositoryName> {
  const url = (await configValue(git, "remote.origin.url")) ?? "";
  const name = repositoryOfUrl(url);
  if (name !== undefined) return name;
  throw new CollectiveError(
    "FORGE_REPOSITORY_NAME",
    `no repository was named, and the clone's origin does not tell one`,
    {
      hint: "name it as owner/name, or run the command in a clone whose origin is on GitHub",
    },
  );
}

/** `https://host/owner/name.git`, `ssh://git@host/owner/name`, `git@host:owner/name.git`. */
export function repositoryOfUrl(url: string): RepositoryName | undefined {
  const match =
    /^(?:https?|ssh):\/\/[^/]+\/([^/]+)\/([^/]+?)(?:\.git)?\/?$/.exec(url) ??
    /^[^/@]+@[^/:]+:([^/]+)\/([^/]+?)(?:\.git)?\/?$/.exec(url);
  const [, owner = "", name = ""] = match ?? [];
  return OWNER.test(owner) && NAME.test(name) ? { owner, name } : undefined;
}
