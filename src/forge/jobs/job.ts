/** What a job of a forge gets from the outside and gives back. A job is one function of this folder; `actions/` calls it. */
import type { Git } from "../../git/git.ts";
import type { Forge } from "../forge.ts";

export interface JobContext {
  /** Called in the checkout the job works on, an absolute path, with the job's environment. */
  readonly git: Git;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The event that started the job, as GitHub wrote it. Texts of strangers are in it: check what is used. */
  readonly event: unknown;
  /** The forge, with the job's token. @throws CollectiveError FORGE_NO_TOKEN where the job has none. */
  forge(): Forge;
  /** A line of the job's log; what the caller did not write itself must be escaped (`visible`, `workflowCommand`). */
  print(line: string): void;
  /** Aborted when the job is cancelled. */
  readonly signal?: AbortSignal;
}

export interface JobResult {
  /** Named as in action.yml. */
  readonly outputs: Readonly<Record<string, string>>;
  /** The job did its work and its answer is no: the step fails, after its outputs were set. */
  readonly isFailed?: boolean;
}
