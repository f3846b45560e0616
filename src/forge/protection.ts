/** What `cui protect` is asked for, and what it reports. */
import type { ErrorCode } from "../errors.ts";
import type { RepositoryName } from "./forge.ts";

/** `alice`, or `acme/operators` for a team. */
export type Reviewer = string;

export const PROTECTION_PARTS = ["tags", "branch", "environment"] as const;
export type ProtectionPart = (typeof PROTECTION_PARTS)[number];

export interface ProtectionWishes {
  readonly repository: RepositoryName;
  readonly parts: readonly ProtectionPart[];
  /** Default: the repository's default branch. */
  readonly branch?: string;
  readonly checks: readonly string[];
  /** Approving reviews a pull request needs. */
  readonly approvals: number;
  readonly environment: string;
  readonly reviewers: readonly Reviewer[];
  /** Nothing is changed; the steps say what would be. */
  readonly dryRun: boolean;
}

export interface ProtectionStep {
  readonly part: ProtectionPart;
  readonly outcome:
    "created" | "updated" | "unchanged" | "would create" | "would update" | "refused" | "note";
  /** What it is, in plain words. */
  readonly text: string;
  /** Of a refusal. */
  readonly code?: ErrorCode;
  readonly hint?: string;
}

export interface ProtectionReport {
  readonly repository: RepositoryName;
  readonly steps: readonly ProtectionStep[];
  /** True when everything wished for is in force (or would be, in a dry run). */
  readonly isComplete: boolean;
}
