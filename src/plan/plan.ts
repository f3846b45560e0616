/** A plan: ordered actions, each with its reason and its class, and a forecast. Pure data; plan-schema.ts says its JSON. */
import type * as z from "zod";
import type { ComponentPath } from "../cvl/tree.ts";
import type { Diagnostic } from "../diagnostics.ts";
import type { actionSchema, forecastSchema, planSchema, warningSchema } from "./plan-schema.ts";

/** Of a machine, of a data disk of one, or of a segment. */
export type Action = z.infer<typeof actionSchema>;
export type MachineAction = Extract<
  Action,
  { readonly versions?: unknown; readonly component: string; readonly device?: undefined }
>;

/** Why: the line of CVL, the version step. */
export type Reason = Action["reasons"][number];
export type VersionStep = NonNullable<MachineAction["versions"]>;
export type Forecast = z.infer<typeof forecastSchema>;
export type PlanWarning = z.infer<typeof warningSchema>;

/** Why the plan must not be applied; its span is undefined, the message names the place. */
export interface Refusal extends Diagnostic {
  readonly component?: ComponentPath | undefined;
}

/** Errors that forbid applying the plan: a data disk that would shrink, a blacklisted version. */
export type Plan = Omit<z.infer<typeof planSchema>, "refusals"> & { readonly refusals: readonly Refusal[] };

/** What the two descriptions do not say. Everything is optional: a preview knows less than the manager. */
export interface PlanFacts {
  /** Bytes that must be fetched to have a machine's wanted image where it runs; counted from the indexes. */
  readonly fetchBytes?: ReadonlyMap<ComponentPath, number>;
  /** Data disks that hold data, `w:vdb`; undefined: every data disk is taken for full. */
  readonly fullDataDisks?: ReadonlySet<string>;
  /** Data disks that are there although their machine is not described as running, `w:vdb`: none is created in their place. */
  readonly existingDataDisks?: ReadonlySet<string>;
  /** Data disks that were there and are nowhere any more, `w:vdb`: never made anew unless `newDataDisks` says so. */
  readonly missingDataDisks?: ReadonlyMap<string, MissingDataDisk>;
  /** Data disks that lie on more than one host, `w:vdb`: refused where their machine would start, a warning where it runs. */
  readonly ambiguousDataDisks?: ReadonlyMap<string, AmbiguousDataDisk>;
  /** Missing data disks that the user asked for anew, empty. */
  readonly newDataDisks?: ReadonlySet<string>;
  /** Sensitive parameters whose value changed, by full path, as their keyed MACs tell. */
  readonly sensitiveChanged?: ReadonlySet<string>;
  /** Machines of the running side that are stopped. */
  readonly stopped?: ReadonlySet<ComponentPath>;
  /** Machines whose wanted version is withdrawn, and why. */
  readonly withdrawn?: ReadonlyMap<ComponentPath, string>;
  /** Machines whose wanted version is blacklisted, and why: refused where it would start, a warning where it runs. */
  readonly blacklisted?: ReadonlyMap<ComponentPath, string>;
  /** Machines of the running side that stand still. */
  readonly paused?: ReadonlyMap<ComponentPath, PausedMachine>;
  readonly warnings?: readonly PlanWarning[];
  /** What goes into the input digest beside the images; see `digestInputs`. */
  readonly inputs?: PlanInputs;
}

export interface PausedMachine {
  /** `the disk of host h1 is full (12 MiB free)`. */
  readonly why: string;
  /** What lets it go on. */
  readonly mend: string;
  /** Whether an update lets it go on: `later`, when what is in the way is mended; `never`, for somebody paused it on purpose. */
  readonly resumes: "now" | "later" | "never";
}

export interface MissingDataDisk {
  /** Where it was. */
  readonly host: string;
  /** False when that host is not listed any more. */
  readonly isHostKnown: boolean;
  /** The host whose attic has one of that name. */
  readonly attic?: string;
}

export interface AmbiguousDataDisk {
  /** Of the network: a part of the disk's path on its host. */
  readonly networkId: string;
  /** Those where it was seen. */
  readonly hosts: readonly string[];
  /** The host that had it last and does not answer. */
  readonly unseenOn?: string;
  /** The host where its machine runs, with the copy that lies there. */
  readonly usedOn?: string;
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
