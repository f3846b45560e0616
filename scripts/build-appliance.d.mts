export interface BuildOptions {
  readonly template: string;
  /** Made by `cui init` where it has no build.sh yet. */
  readonly directory: string;
  readonly name?: string;
  /** Written to the file VERSION, which the web template bakes in. */
  readonly version?: string | number;
}

/** Milliseconds. */
export interface BuildTimes {
  readonly initMs: number;
  readonly buildMs: number;
}

export function buildAppliance(options: BuildOptions): Promise<BuildTimes>;
