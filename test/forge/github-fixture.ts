/** What every test of the forge begins with: a server, three tokens, one repository. */
import { CollectiveError } from "../../src/errors.ts";
import { createForge } from "../../src/forge/client.ts";
import type { Forge, RetryLimits } from "../../src/forge/forge.ts";
import { startGitHubServer, type GitHubServer } from "./github-server.ts";

/** The part of tap's test object that is used here. */
interface TestFolder {
  testdir(): string;
  teardown(handler: () => unknown): void;
}

export const PERSON_TOKEN = "ghp_0123456789personpersonperson";
export const JOB_TOKEN = "ghs_0123456789jobjobjobjobjobjob";
export const ADMIN_TOKEN = "ghp_0123456789adminadminadmin";

/** As `owner` and `repo` of GitHub's operations, and as the forge's functions take it. */
export const site = { owner: "acme", repo: "site" };
export const repository = { owner: "acme", name: "site" };

export const quick: Partial<RetryLimits> = { writeIntervalMs: 0, pauseMs: 1, timeoutMs: 60_000 };

/** Stopped when the test ends, which fails when the server saw a defect. */
export async function startServer(t: TestFolder): Promise<GitHubServer> {
  const server = await startGitHubServer(t.testdir());
  t.teardown(() => server.close());
  await furnish(server);
  return server;
}

export async function furnish(server: GitHubServer): Promise<void> {
  server.addUser(PERSON_TOKEN, { login: "alice" });
  server.addUser(JOB_TOKEN, { login: "github-actions[bot]", type: "Bot" });
  server.addUser(ADMIN_TOKEN, { login: "olga", role: "admin" });
  await server.addRepository("acme/site");
}

/** A forge that does not wait long. */
export function forgeOf(server: GitHubServer, token: string, limits: Partial<RetryLimits> = {}): Forge {
  return createForge({ token, apiUrl: server.url, limits: { ...quick, ...limits } });
}

/** The CollectiveError `promise` rejects with. */
export async function refusal(promise: Promise<unknown>): Promise<CollectiveError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof CollectiveError) return error;
    throw error;
  }
  throw new Error("expected a refusal");
}
