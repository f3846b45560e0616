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
  /** `v1` → `v2` where a version step is behind it; null is a working tree, or no machine on that side. */
  readonly versions?: VersionStep;
  /** Memory of the machine afterwards minus before, when it differs. */
  readonly memoryBytesChange?: number;
  /** Interfaces that need an address, afterwards minus before, when it differs. */
  readonly addressesChange?: number;
}

export interface VersionStep {
  readonly from: number | null;
  readonly to: number | null;
}

/** Why the plan must not be applied; its span is undefined, the message names the place. */
export interface Refusal extends Diagnostic {
  readonly component: ComponentPath | undefined;
}

export interface PlanWarning {
  readonly component: ComponentPath | undefined;
  readonly message: string;
}

/** What the two descriptions do not say. Everything is optional: a preview knows less than the manager. */
export interface PlanFacts {
  /** Bytes that must be fetched to have a machine's wanted image where it runs; counted from the indexes. */
  readonly fetchBytes?: ReadonlyMap<ComponentPath, number>;
  /** Data disks that hold data, `w:vdb`; undefined: every data disk is taken for full. */
  readonly fullDataDisks?: ReadonlySet<string>;
  /** Data disks that are there although their machine is not described as running, `w:vdb`: none is created in their place. */
  readonly existingDataDisks?: ReadonlySet<string>;
  /** Sensitive parameters whose value changed, by full path, as their keyed MACs tell. */
  readonly sensitiveChanged?: ReadonlySet<string>;
  /** Machines of the running side that are stopped. */
  readonly stopped?: ReadonlySet<ComponentPath>;
  /** Machines whose wanted version is withdrawn, and why. */
  readonly withdrawn?: ReadonlyMap<ComponentPath, string>;
  /** Machines whose wanted version is blacklisted, and why: refused where it would start, a warning where it runs. */
  readonly blacklisted?: ReadonlyMap<ComponentPath, string>;
  readonly warnings?: readonly PlanWarning[];
  /** What goes into the input digest beside the images; see `digestInputs`. */
  readonly inputs?: PlanInputs;
}

/** What a plan is made from and CI can see as well as the manager: contents and versions, no paths of a machine. */
export interface PlanInputs {
  /** Every CVL file of the import closure. */
  readonly files: readonly {
    /** Null for the root file and what lies beside it. */
    readonly url: string | null;
    readonly version: number | null;
    readonly commit: string | null;
    readonly file: string;
    /** SHA-256 of the text, 64 hex digits. */
    readonly digest: string;
  }[];
  /** Allow, trust, approval and blacklist as plain JSON. */
  readonly policy: unknown;
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
  readonly warnings: readonly PlanWarning[];
  /** Errors that forbid applying the plan: a data disk that would shrink, a blacklisted version. */
  readonly refusals: readonly Refusal[];
  /** SHA-256 over commits, tags, indexes and policy: CI can compute it. */
  readonly inputDigest: string;
  /** SHA-256 over that and the running state; undefined when no manager made the plan. */
  readonly planDigest?: string;
}
