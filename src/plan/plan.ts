/** A plan: ordered actions, each with its reason and its class, and a forecast. Pure data. */
import type { ComponentPath } from "../cvl/tree.ts";
import type { Diagnostic } from "../diagnostics.ts";
import type { SegmentId } from "../network/description.ts";

export const PLAN_FORMAT = 1;

/** From harmless to grave; the class of a plan is its gravest. */
export const ACTION_CLASSES = ["none", "parameters", "restart", "replace", "data"] as const;
export type ActionClass = (typeof ACTION_CLASSES)[number];

/**
 * What is done. `resize-data-disk` is carried out between the stop and the start of the restart or replace that names it in
 * `after`; `detach-data-disk` follows the restart that lets go of the disk and moves it to the attic.
 */
export type ActionKind =
  | "create-segment"
  | "remove-segment"
  | "create-data-disk"
  | "resize-data-disk"
  | "detach-data-disk"
  | "start"
  | "stop"
  | "replace" // stop, replace program disks, start
  | "restart" // stop and start on the same program disks (say, another interface or data disk)
  | "send-parameters"
  | "remove" // stop, data disks to the attic
  | "await" // nothing to do: done when `after` is, for one name for many actions
  | "note"; // class none: a version step that changes nothing that runs

/** Why: the line of CVL, the version step. */
export interface Reason {
  readonly text: string;
  /** `AcmeOffice.cvl:7` */
  readonly place?: string;
}

export interface Action {
  /** Stable within a plan: `replace w`, `create-segment external`. */
  readonly id: string;
  readonly kind: ActionKind;
  readonly class: ActionClass;
  /** Machine, or undefined for segments. */
  readonly component?: ComponentPath;
  readonly segment?: SegmentId;
  /** Data disk device for data-disk actions. */
  readonly device?: string;
  readonly reasons: readonly Reason[];
  /** Ids of actions that must all be done before. */
  readonly after: readonly string[];
  /** Of each list one action must be done before: a service with several providers, none of which is there yet. */
  readonly afterAny?: readonly (readonly string[])[];
  /** `v1` → `v2` where a version step is behind it. */
  readonly versions?: { readonly from: number | null; readonly to: number | null };
}

export interface Forecast {
  /** Bytes to fetch, from the indexes, by component; chunks the running version has are not counted. */
  readonly fetchBytes: Readonly<Record<ComponentPath, number>>;
  readonly fetchBytesTotal: number;
  /** Machines whose program disks must be fetched, how many bytes of them nobody counted. */
  readonly fetchUnknown: readonly ComponentPath[];
  /** Memory of all machines afterwards minus before. */
  readonly memoryBytesChange: number;
  readonly addressesChange: number;
  /** Machines out of service while the plan runs, with those that require what they alone provide. */
  readonly outage: readonly {
    readonly component: ComponentPath;
    readonly dependents: readonly ComponentPath[];
  }[];
}

export interface Plan {
  readonly format: typeof PLAN_FORMAT;
  readonly appliance: string;
  readonly class: ActionClass;
  /** In an order that respects `after` and `afterAny`. */
  readonly actions: readonly Action[];
  readonly forecast: Forecast;
  readonly warnings: readonly string[];
  /** Errors that forbid applying the plan: a data disk that would shrink, a blacklisted version. Their spans are undefined. */
  readonly refusals: readonly Diagnostic[];
  /** SHA-256 over commits, tags, indexes and policy: CI can compute it. */
  readonly inputDigest: string;
  /** SHA-256 over that and the running state; undefined when no manager made the plan. */
  readonly planDigest?: string;
}
