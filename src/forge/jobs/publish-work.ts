/** What a publish is asked for, and what its parts work with. */
import type { Mirror } from "../../appliance/mirror.ts";
import type { Mirrors } from "../../appliance/mirrors.ts";
import type { Forge, RepositoryName } from "../forge.ts";
import type { JobContext } from "./job.ts";

export interface PublishInputs {
  /** `next`: a push to the default branch that changes what the appliance consists of becomes the next version. */
  readonly tag: "pushed" | "next";
  readonly repository: RepositoryName;
  /** Where git reaches the repository. */
  readonly url: string;
  /** Repositories whose bump is started now. */
  readonly dependents: readonly RepositoryName[];
  /** A forge with a token that may dispatch there; undefined where there is none. */
  readonly dispatch: (() => Forge) | undefined;
  /** Folder of the mirrors. */
  readonly cache?: string;
}

export interface PublishWork {
  readonly inputs: PublishInputs;
  readonly job: JobContext;
  readonly mirrors: Mirrors;
  /** Of `inputs.url`, fetched. */
  readonly mirror: Mirror;
}
