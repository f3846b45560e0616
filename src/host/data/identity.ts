/** Who asks a host for something, and about which machine. */
import type { ComponentPath } from "../../cvl/tree.ts";

export interface Fence {
  /** Stable id of the network, from the site's utility.yaml: `[a-z0-9-]{1,36}`. */
  readonly networkId: string;
  readonly token: number;
  /** The site the network belongs to, 12 hex digits: a host refuses it to another (HOST_OTHER_SITE). Absent: not told apart. */
  readonly site?: string | undefined;
  /** On whose behalf, for records that outlive it: `remove acme.cvl`, at most 200 characters. */
  readonly command?: string | undefined;
}

export interface MachineId {
  readonly networkId: string;
  readonly component: ComponentPath;
}
