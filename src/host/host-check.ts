/** One thing a host needs, and whether it has it. */
export interface HostCheck {
  readonly name: string;
  /** `missing` makes the host unfit; `note` is worth knowing. */
  readonly result: "ok" | "note" | "missing";
  /** What was found, or what is wrong. */
  readonly detail: string;
  /** What to do about it. */
  readonly hint?: string;
}
