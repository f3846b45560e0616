/**
 * Operational failures: what went wrong outside the user's CVL and YAML.
 * A user's mistake in a file, a URL or a version is a Diagnostic instead (diagnostics.ts).
 * Each code has a row in docs/errors.md and a test that provokes it.
 */

import type { PlacedDiagnostic } from "./diagnostics.ts";

/** The closed union of operational error codes, grouped by the layer that throws them. */
export type ErrorCode =
  // io
  | "PROCESS_FAILED"
  | "PROCESS_MISSING"
  | "PROCESS_TIMED_OUT"
  | "FILE_SYSTEM_FAILED"
  | "FILE_EXISTS"
  | "FILE_NOT_REGULAR"
  | "FILE_TOO_LARGE"
  | "FILE_LOCK_HELD"
  | "FILE_LOCK_UNUSABLE"
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
  | "DISK_TARGET_EXISTS"
  | "DISK_COPY_DIFFERS"
  | "DISK_NBD_FAILED"
  | "DISK_WORKER_FAILED"
  // templates
  | "INIT_FOLDER_NOT_EMPTY"
  | "INIT_TEMPLATES_MISSING"
  // utility
  | "STATE_CONFLICT"
  | "STATE_OTHER_SITE"
  | "UTILITY_NO_SITE"
  | "UTILITY_INVENTORY_INVALID"
  | "UTILITY_STATE_FORMAT"
  | "UTILITY_STATE_LOST"
  | "UTILITY_NETWORK_BUSY"
  | "UTILITY_LEASE_LOST"
  | "UTILITY_VLANS_EXHAUSTED"
  | "UTILITY_ADDRESSES_EXHAUSTED"
  | "UTILITY_ADDRESS_INVALID"
  | "UTILITY_ADDRESS_TAKEN"
  | "UTILITY_NO_EXTERNAL"
  | "UTILITY_NO_CAPACITY"
  | "UTILITY_DATA_DISK_MISSING"
  | "UTILITY_DATA_DISK_PRESENT"
  | "UTILITY_DISK_SHRINK"
  | "UTILITY_SECRET_MISSING"
  | "UTILITY_SECRET_AMBIGUOUS"
  | "UTILITY_PARAMETER_UNKNOWN"
  | "UTILITY_HOST_UNREACHABLE"
  | "UTILITY_HOST_UNKNOWN"
  | "UTILITY_HOST_IN_USE"
  | "UTILITY_SUBNETS_MEET"
  | "UTILITY_UNKNOWN_COMPONENT"
  | "UTILITY_DATA_DISK_UNKNOWN"
  | "UTILITY_ATTIC_UNKNOWN"
  | "UTILITY_OTHER_HOST"
  | "UTILITY_NETWORK_RUNNING"
  | "UTILITY_NETWORK_UNKNOWN"
  | "UTILITY_NOT_CONFIRMED"
  | "UTILITY_NOT_RUNNING"
  | "UTILITY_REFUSED"
  | "UTILITY_GUEST_FAILED"
  | "UTILITY_UPDATE_ROLLED_BACK"
  | "UTILITY_INCOMPLETE"
  | "UTILITY_IN_USE"
  | "PREVIEW_TIMED_OUT"
  | "PREVIEW_TOO_LARGE"
  | "RUNNER_FOLDER_NOT_EMPTY"
  | "ROLLOUT_REFUSED"
  | "ROLLOUT_FAILED"
  | "ROLLOUT_REWIND"
  | "ROLLOUT_OFF_BRANCH"
  | "ROLLOUT_HISTORY_MISSING"
  // repository
  | "REPOSITORY_COMMIT_MISSING"
  | "REPOSITORY_DAMAGED"
  | "REPOSITORY_DISK_CHANGED"
  | "REPOSITORY_DISK_MISSING"
  | "REPOSITORY_EXISTS"
  | "REPOSITORY_FILE_MISSING"
  | "REPOSITORY_FILE_REFUSED"
  | "REPOSITORY_FILE_TOO_LARGE"
  | "REPOSITORY_FOLDER_TRACKED"
  | "REPOSITORY_LOCKED"
  | "REPOSITORY_MISSING"
  | "REPOSITORY_NOTHING_NEW"
  | "REPOSITORY_OBJECT_MISSING"
  | "REPOSITORY_PUBLISH_REFUSED"
  | "REPOSITORY_REVISION_MISSING"
  | "REPOSITORY_TOO_MANY_FILES"
  | "REPOSITORY_UNREACHABLE"
  | "REPOSITORY_UNREADABLE"
  | "REPOSITORY_URL_REFUSED"
  | "REPOSITORY_VERSION_MISSING"
  // bump
  | "BUMP_NO_REMOTE"
  | "BUMP_REFUSED"
  // repository: Git LFS over HTTP
  | "LFS_UNREACHABLE"
  | "LFS_UNAUTHORIZED"
  | "LFS_REFUSED"
  | "LFS_RATE_LIMITED"
  | "LFS_STORAGE_FULL"
  | "LFS_UNEXPECTED_REPLY"
  // repository: cui serve
  | "SERVE_FOLDER_MISSING"
  | "SERVE_LISTEN_FAILED"
  | "SERVE_LISTEN_INSECURE"
  | "SERVE_TLS_INVALID"
  | "SERVE_TOKENS_INVALID"
  | "SERVE_TOKEN_NAME"
  // hooks
  | "HOOK_IN_THE_WAY"
  | "HOOK_REFUSED"
  | "HOOK_SETTING_INVALID"
  | "HOOKS_MISSING"
  // plan
  | "GRAPH_TOO_LARGE"
  | "PLAN_REFUSED"
  // forge
  | "FORGE_NO_TOKEN"
  | "FORGE_ADDRESS"
  | "FORGE_REPOSITORY_NAME"
  | "FORGE_UNREACHABLE"
  | "FORGE_UNAUTHORIZED"
  | "FORGE_FORBIDDEN"
  | "FORGE_NOT_FOUND"
  | "FORGE_CONFLICT"
  | "FORGE_REFUSED"
  | "FORGE_RATE_LIMITED"
  | "FORGE_UNAVAILABLE"
  | "FORGE_UNEXPECTED_REPLY"
  | "FORGE_TOO_MANY_RESULTS"
  | "FORGE_ARTIFACT_REFUSED"
  | "FORGE_EVENT_UNEXPECTED"
  | "FORGE_PULL_MISMATCH"
  | "FORGE_TAG_MISSING"
  | "FORGE_TAG_MOVED"
  | "FORGE_PROTECTION_INCOMPLETE"
  | "JOB_CANCELLED"
  // host
  | "HOST_UNREACHABLE"
  | "HOST_ADDRESS_INVALID"
  | "HOST_PROTOCOL_UNKNOWN"
  | "HOST_REQUEST_INVALID"
  | "HOST_ANSWER_INVALID"
  | "HOST_FAILED"
  | "HOST_CALL_UNKNOWN"
  | "HOST_SOCKET_IN_USE"
  | "HOST_SECRETS_ON_DISK"
  | "HOST_FENCED"
  | "HOST_LIBVIRT_DOWN"
  | "HOST_BRIDGE_MISSING"
  | "HOST_IMAGE_DAMAGED"
  | "HOST_IMAGE_MISSING"
  | "HOST_DISK_MISSING"
  | "HOST_DISK_SHRINK"
  | "HOST_DISK_FULL"
  | "HOST_DISK_DAMAGED"
  | "HOST_ATTIC_UNKNOWN"
  | "HOST_EXPORT_BUSY"
  | "HOST_EXPORT_ENDED"
  | "HOST_EXPORT_FAILED"
  | "HOST_MEMORY_FULL"
  | "HOST_FIRMWARE_MISSING"
  | "HOST_PROGRAM_MISSING"
  | "HOST_START_FAILED"
  | "HOST_MACHINE_RUNNING"
  | "HOST_MACHINE_UNKNOWN"
  | "HOST_NOT_READY"
  | "HOST_OTHER_SITE"
  | "HOST_INCOMPLETE"
  | "LAB_NEEDS_ROOT"
  | "LAB_NOT_FOUND"
  | "LAB_DIRECTORY_IN_USE"
  | "LAB_DIRECTORY_TOO_LONG"
  | "LAB_STATE_INVALID"
  | "LAB_FAILED"
  | "LAB_INCOMPLETE"
  // cli and actions alone: it ends a command with exit status 2
  | "USAGE"
  // cli
  | "INVALID_INPUT"
  // cli alone: a defect of ours
  | "INTERNAL_ERROR";

export interface ErrorDetails {
  /** What the message was made from, for programs; never a sensitive value. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** One sentence that says what the user can do. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
  /** The mistakes it stands for, which the message shows after its first line. */
  readonly diagnostics?: readonly PlacedDiagnostic[] | undefined;
}

/** Thrown for every operational failure; `cli/` alone prints it and sets the exit status. */
export class CollectiveError extends Error {
  readonly code: ErrorCode;
  readonly data: Readonly<Record<string, unknown>>;
  readonly hint: string | undefined;
  readonly diagnostics: readonly PlacedDiagnostic[];

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "CollectiveError";
    this.code = code;
    this.data = details.data ?? {};
    this.hint = details.hint;
    this.diagnostics = details.diagnostics ?? [];
  }
}

/** What a caught value says: an error's message, anything else as text. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What `reading` resolves to, or undefined when it fails with one of these codes; every other failure stays one. */
export async function unlessCode<Result>(
  codes: ErrorCode | readonly ErrorCode[],
  reading: Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof CollectiveError && [codes].flat().includes(error.code)) return undefined;
    throw error;
  }
}
