/** What the rest of the forge layer works with: GitHub's operations, who we are there, and how long to try. */
import type { Octokit } from "octokit";

export interface RepositoryName {
  readonly owner: string;
  readonly name: string;
}

export interface Forge {
  /**
   * GitHub's operations by name (`rest.issues.createComment`). They reject with CollectiveError FORGE_… only, and wait and
   * repeat by themselves where nothing can happen twice (see retry.ts).
   */
  readonly rest: Octokit["rest"];
  readonly paginate: Octokit["paginate"];
  /** How to go on when an answer was lost: see `createOnce`. */
  readonly limits: RetryLimits;
  /** The login our comments carry: `alice`, `github-actions[bot]`. Asked once. */
  login(): Promise<string>;
}

export interface RetryLimits {
  /** Repetitions of one request after its first try. */
  readonly retries: number;
  /** All waiting of one request together; a limit that asks for more is an error at once. */
  readonly waitMs: number;
  /** First pause after a broken connection or a 5xx; doubled every time. */
  readonly pauseMs: number;
  /** Between two requests that change something, when there are many: GitHub asks for a second. */
  readonly writeIntervalMs: number;
  /** How many of them may go out at once before that. */
  readonly writeBurst: number;
  /** Of one request, waiting for limits not counted. */
  readonly timeoutMs: number;
}

export const DEFAULT_LIMITS: RetryLimits = {
  retries: 4,
  waitMs: 300_000,
  pauseMs: 1000,
  writeIntervalMs: 1000,
  writeBurst: 10,
  timeoutMs: 30_000,
};

/** `owner` and `repo` as every operation of a repository takes them. */
export function repositoryParameters(repository: RepositoryName): {
  readonly owner: string;
  readonly repo: string;
} {
  return { owner: repository.owner, repo: repository.name };
}
