/**
 * Operational failures: what went wrong outside the user's CVL and YAML.
 * A user's mistake in a file is a Diagnostic instead (diagnostics.ts).
 * Each code has a row in docs/errors.md and a test that provokes it.
 */

/** The closed union of operational error codes, grouped by the layer that throws them. */
export type ErrorCode =
  // io
  | "PROCESS_FAILED"
  | "PROCESS_MISSING"
  | "PROCESS_TIMED_OUT"
  // disk
  | "DISK_IMAGE_MISSING"
  | "DISK_IMAGE_UNSUPPORTED"
  | "DISK_TOO_LARGE"
  | "DISK_INDEX_INVALID"
  | "DISK_FORMAT_UNSUPPORTED"
  | "DISK_PACK_MISSING"
  | "DISK_PACK_CORRUPT"
  | "DISK_CHUNK_CORRUPT"
  | "DISK_WRITE_FAILED"
  | "DISK_WORKER_FAILED"
  // cli
  | "USAGE"
  | "INVALID_INPUT";

export interface ErrorDetails {
  /** What the message was made from, for programs; never a sensitive value. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** One sentence that says what the user can do. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/** Thrown for every operational failure; `cli/` alone prints it and sets the exit status. */
export class CollectiveError extends Error {
  readonly code: ErrorCode;
  readonly data: Readonly<Record<string, unknown>>;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "CollectiveError";
    this.code = code;
    this.data = details.data ?? {};
    this.hint = details.hint;
  }
}
