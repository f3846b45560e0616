/** A pull request of a site on the GitHub double: base and head are real commits, the job's workspace is a real clone. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Test } from "tap";
import type { Forge } from "../../src/forge/forge.ts";
import type { JobContext } from "../../src/forge/jobs/job.ts";
import type { PlanInputs } from "../../src/forge/jobs/plan-job.ts";
import { git, gitAt } from "../git/git-fixture.ts";
import { makeSite, utilityYaml, type SiteFixture } from "../manager/site-fixture.ts";
import { forgeOf, JOB_TOKEN, PERSON_TOKEN, site as target, startServer } from "./github-fixture.ts";
import type { GitHubServer } from "./github-server.ts";

export interface PullFixture {
  readonly server: GitHubServer;
  readonly site: SiteFixture;
  readonly base: string;
  readonly head: string;
  readonly number: number;
  readonly summaryFile: string;
  /** Lines the jobs printed. */
  readonly printed: string[];
  readonly inputs: PlanInputs;
  job(changes?: JobChanges): JobContext;
  /** What a workflow_run job gets after the run of this pull request. */
  runEvent(): unknown;
  /** Comments and check runs as they are now. */
  comments(): string[];
  checks(): { readonly name: string; readonly head_sha: string; readonly fields: Record<string, unknown> }[];
  summary(): string;
}

export interface JobChanges {
  readonly fork?: boolean;
  readonly forge?: () => Forge;
  readonly event?: unknown;
}

export type Files = Readonly<Record<string, string | null>>;

/** `files` of the head say what the pull request changes; `prepare` may change the clone by other means before it is committed. */
export async function openPull(
  t: Test,
  files: (site: SiteFixture) => { readonly base: Files; readonly head: Files },
  prepare: (site: SiteFixture) => void = () => undefined,
): Promise<PullFixture> {
  const server = await startServer(t);
  const top = path.join(t.testdirName, "preview");
  mkdirSync(top);
  const site = makeSite(top);
  const stored = server.state.repositories.get("acme/site")!;
  git(site.folder, "remote", "add", "origin", stored.gitDirectory);
  const { base: before, head: after } = files(site);
  const base = site.commit({ "utility.yaml": utilityYaml({ office: "office.cvl" }), ...before });
  git(site.folder, "push", "--quiet", "--force", "origin", "main");
  git(site.folder, "checkout", "--quiet", "-b", "topic");
  prepare(site);
  const head = site.commit(after);
  git(site.folder, "push", "--quiet", "--force", "origin", "topic");
  const opened = await forgeOf(server, PERSON_TOKEN).rest.pulls.create({
    ...target,
    title: "Change",
    head: "topic",
    base: "main",
  });
  server.requests.length = 0;
  const printed: string[] = [];
  const summaryFile = path.join(top, "summary.md");
  const event = (isFork: boolean): unknown => ({
    pull_request: {
      number: opened.data.number,
      head: { sha: head, ref: "topic", repo: { full_name: isFork ? "mallory/site" : "acme/site" } },
      base: { sha: base, ref: "main", repo: { full_name: "acme/site" } },
    },
  });
  return {
    server,
    site,
    base,
    head,
    number: opened.data.number,
    summaryFile,
    printed,
    inputs: {
      site: ".",
      outputDirectory: path.join(top, "out"),
      artifactName: "collective-plan",
      isCommenting: true,
      importToken: undefined,
      pushRef: false,
      refusePaths: false,
      timeoutSeconds: 120,
      cache: site.cache,
    },
    job: ({ fork = false, forge = () => forgeOf(server, JOB_TOKEN), event: given } = {}) => ({
      git: gitAt(site.folder),
      env: {
        GITHUB_REPOSITORY: "acme/site",
        GITHUB_EVENT_NAME: "pull_request",
        GITHUB_STEP_SUMMARY: summaryFile,
      },
      event: given ?? event(fork),
      forge,
      print: (line) => void printed.push(line),
    }),
    runEvent: () => ({
      workflow_run: {
        event: "pull_request",
        head_sha: head,
        head_branch: "topic",
        head_repository: { owner: { login: "acme" } },
      },
    }),
    comments: () => stored.pulls.flatMap(({ comments }) => comments.map(({ body }) => body)),
    checks: () => stored.checkRuns as unknown as ReturnType<PullFixture["checks"]>,
    summary: () => {
      try {
        return readFileSync(summaryFile, "utf8");
      } catch {
        return "";
      }
    },
  };
}

/** The event as a file for an action's process. */
export function writeEvent(folder: string, event: unknown): string {
  const file = path.join(folder, "event.json");
  writeFileSync(file, JSON.stringify(event));
  return file;
}
