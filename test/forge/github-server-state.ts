/** What the GitHub test server remembers. Commits, branches and tags are in a real bare git repository per repository. */

export interface ServerUser {
  readonly id: number;
  readonly login: string;
  readonly type: "User" | "Bot";
  /** What its token may do in every repository. */
  readonly role: "read" | "write" | "admin";
}

export interface StoredComment {
  readonly id: number;
  readonly author: ServerUser;
  body: string;
  readonly createdAt: string;
  updatedAt: string;
}

export interface StoredPull {
  readonly id: number;
  readonly number: number;
  readonly author: ServerUser;
  title: string;
  body: string | null;
  state: "open" | "closed";
  merged: boolean;
  mergeCommit: string | null;
  /** Where the branch lies: the repository itself, or a fork. */
  readonly headRepository: StoredRepository;
  readonly headBranch: string;
  /** Kept when the branch is gone. */
  headSha: string;
  baseBranch: string;
  labels: string[];
  readonly comments: StoredComment[];
  readonly reviews: {
    readonly id: number;
    readonly author: ServerUser;
    readonly state: string;
    readonly sha: string;
  }[];
  readonly createdAt: string;
  updatedAt: string;
}

/** Anything the server only keeps and gives back: the request's fields beside an id, an author and times. */
export interface StoredRecord {
  readonly id: number;
  readonly author: ServerUser;
  readonly createdAt: string;
  updatedAt: string;
  fields: Record<string, unknown>;
}

export interface StoredDeployment extends StoredRecord {
  readonly statuses: StoredRecord[];
}

export interface StoredCheckRun extends StoredRecord {
  readonly annotations: Record<string, unknown>[];
}

export interface StoredArtifact {
  readonly id: number;
  readonly runId: number;
  readonly name: string;
  readonly zip: Uint8Array;
}

export interface StoredRun {
  readonly id: number;
  readonly fields: Record<string, unknown>;
}

export interface StoredRepository {
  readonly id: number;
  readonly owner: string;
  readonly name: string;
  readonly private: boolean;
  readonly defaultBranch: string;
  readonly gitDirectory: string;
  readonly forkOf: StoredRepository | undefined;
  /** False: as on an account whose plan has none for private repositories. */
  readonly planHas: { readonly rulesets: boolean; readonly environmentRules: boolean };
  lastNumber: number;
  readonly pulls: StoredPull[];
  readonly labels: Map<
    string,
    { readonly id: number; readonly name: string; color: string; description: string | null }
  >;
  readonly checkRuns: StoredCheckRun[];
  readonly statuses: (StoredRecord & { readonly sha: string })[];
  readonly deployments: StoredDeployment[];
  readonly releases: StoredRecord[];
  readonly rulesets: StoredRecord[];
  readonly branchProtections: Map<string, Record<string, unknown>>;
  readonly environments: Map<
    string,
    StoredRecord & { readonly branchPolicies: { id: number; name: string }[] }
  >;
  readonly runs: StoredRun[];
  readonly artifacts: StoredArtifact[];
  /** What repository_dispatch delivered. */
  readonly dispatches: { readonly event_type: string; readonly client_payload?: unknown }[];
}

export interface ServerState {
  /** By token. */
  readonly users: Map<string, ServerUser>;
  readonly teams: Map<string, { readonly id: number; readonly org: string; readonly slug: string }>;
  /** By lowercase `owner/name`. */
  readonly repositories: Map<string, StoredRepository>;
  nextId(): number;
  /** Strictly later with every call. */
  now(): string;
}

export function createState(): ServerState {
  let lastId = 1000;
  let clock = Date.parse("2026-01-01T00:00:00Z");
  return {
    users: new Map(),
    teams: new Map(),
    repositories: new Map(),
    nextId: () => ++lastId,
    now: () => new Date((clock += 1000)).toISOString().replace(".000Z", "Z"),
  };
}
