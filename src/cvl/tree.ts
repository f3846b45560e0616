/** What evaluating a linked program gives: every component with every parameter, late-bound. */
import type { SourceFile, Source } from "./source.ts";

/** Dotted path of a component below the root; the root itself is "". */
export type ComponentPath = string;

/** One element of a parameter's list. */
export type Element = string | UnknownElement | UnsetElement | SensitiveElement;

/** Not known before the utility assigns the parameters it waits for (full paths, `d.ethernet0.ip`). */
export interface UnknownElement {
  readonly kind: "unknown";
  readonly waitsFor: readonly string[];
  /** Of a map: its text with nothing where the unknown values will be, so that two versions of it can be told apart. */
  readonly shape?: string;
}

/** Made from a required parameter that has no value. */
export interface UnsetElement {
  readonly kind: "unset";
  readonly waitsFor: readonly string[];
}

/**
 * Made from a sensitive parameter. `value` is there only when the evaluation was given every value it is made from
 * (EvaluateOptions.supplied); it must never be logged, stored or put into an error.
 */
export interface SensitiveElement {
  readonly kind: "sensitive";
  /** Full paths of the sensitive parameters it is made from. */
  readonly from: readonly string[];
  /** Full paths it still waits for: sensitive ones not supplied, unknown or unset ones. Empty when `value` is there. */
  readonly waitsFor: readonly string[];
  readonly value?: string;
}

/** A place in a file; line and column are computed at the edge (`lineAndColumn(place.file.text, place.start)`). */
export interface Place {
  readonly file: SourceFile;
  readonly start: number;
  readonly end: number;
}

export interface Parameter {
  /** Empty: unset. A required, unset, non-assignable parameter has one UnsetElement when referred to, but is empty here. */
  readonly elements: readonly Element[];
  readonly required: boolean;
  readonly sensitive: boolean;
  /** mac, ip, subnet, netmask, defaultroute of an interface: filled in by the utility unless CVL sets them. */
  readonly assignable: boolean;
  readonly declared: Place;
  /** The assignment that won; null when none did (unset, supplied or assigned by the utility). */
  readonly assigned: Place | null;
}

export interface Component {
  readonly path: ComponentPath;
  readonly kind: "network" | "machine";
  /** Name of its class as declared in the class's own file. */
  readonly class: string;
  /** From its class up to, and without, VMAppliance or VANAppliance. */
  readonly ancestors: readonly string[];
  /** Of the file that declares its class. */
  readonly source: Source;
  /** The component declaration, or for the root its object declaration. */
  readonly declared: Place;
  /** By name; an interface's parameters of a machine are here as `ethernet0.ip`. */
  readonly parameters: ReadonlyMap<string, Parameter>;
  /** Names of a machine's interfaces in order of declaration, from the base class down; empty for a network. */
  readonly interfaces: readonly string[];
  /** Paths of a network's direct components in order of declaration. */
  readonly children: readonly ComponentPath[];
}

export interface InstanceTree {
  /** Name of the root object. */
  readonly appliance: string;
  /** By path, parents before children. */
  readonly components: ReadonlyMap<ComponentPath, Component>;
}

/** Values that come from outside CVL, by full parameter path (`f.ethernet1.ip`, `l.rootpw`, `domain`). */
export interface EvaluateOptions {
  /** What the utility assigned; used for assignable parameters that CVL does not set. */
  readonly assigned?: ReadonlyMap<string, readonly string[]>;
  /** Clear values of sensitive parameters; used for those CVL does not set. */
  readonly supplied?: ReadonlyMap<string, readonly string[]>;
}
