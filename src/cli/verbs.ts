/** The verbs of `cui` with their one-line summaries; a verb's module is loaded only when it is called. */
import type { VerbModule } from "./context.ts";

export interface VerbEntry {
  readonly name: string;
  readonly summary: string;
  load(): Promise<VerbModule>;
}

export const VERBS: readonly VerbEntry[] = [
  {
    name: "address",
    summary: "manage the pool of public addresses",
    load: () => import("./verbs/address.ts"),
  },
  {
    name: "attic",
    summary: "list, restore and purge the data of what was removed",
    load: () => import("./verbs/attic.ts"),
  },
  {
    name: "bump",
    summary: "propose newer versions of what is imported",
    load: () => import("./verbs/bump.ts"),
  },
  {
    name: "check",
    summary: "report every mistake in CVL files",
    load: () => import("./verbs/check.ts"),
  },
  {
    name: "console",
    summary: "open the serial console of a machine",
    load: () => import("./verbs/console.ts"),
  },
  {
    name: "create",
    summary: "make an empty appliance repository",
    load: () => import("./verbs/create.ts"),
  },
  {
    name: "data",
    summary: "list and export data disks",
    load: () => import("./verbs/data.ts"),
  },
  {
    name: "diff",
    summary: "show what a change between two commits would do",
    load: () => import("./verbs/diff.ts"),
  },
  {
    name: "disk",
    summary: "add, show, verify and export program disks",
    load: () => import("./verbs/disk.ts"),
  },
  {
    name: "eval",
    summary: "show what a CVL file's parameters come to",
    load: () => import("./verbs/eval.ts"),
  },
  { name: "fmt", summary: "format CVL files", load: () => import("./verbs/fmt.ts") },
  {
    name: "graph",
    summary: "draw a network as Mermaid, DOT or SVG",
    load: () => import("./verbs/graph.ts"),
  },
  {
    name: "hook",
    summary: "install git hooks; what they call",
    load: () => import("./verbs/hook.ts"),
  },
  {
    name: "host",
    summary: "run, check and list host managers",
    load: () => import("./verbs/host.ts"),
  },
  {
    name: "init",
    summary: "start an appliance, a network or a site from a template",
    load: () => import("./verbs/init.ts"),
  },
  {
    name: "lab",
    summary: "make hypervisor hosts on this machine, to try things out",
    load: () => import("./verbs/lab.ts"),
  },
  {
    name: "lock",
    summary: "move every import to its newest version",
    load: () => import("./verbs/lock.ts"),
  },
  {
    name: "plan",
    summary: "show what a start or an update would do",
    load: () => import("./verbs/plan.ts"),
  },
  {
    name: "protect",
    summary: "set tag ruleset, branch rule and environment of a repository on GitHub",
    load: () => import("./verbs/protect.ts"),
  },
  {
    name: "publish",
    summary: "publish the next version of an appliance",
    load: () => import("./verbs/publish.ts"),
  },
  {
    name: "remove",
    summary: "remove a stopped network; its data goes to the attic",
    load: () => import("./verbs/remove.ts"),
  },
  {
    name: "runner",
    summary: "carry out what a site's protected branch says",
    load: () => import("./verbs/runner.ts"),
  },
  {
    name: "serve",
    summary: "serve repositories over HTTP, for a site without a forge",
    load: () => import("./verbs/serve.ts"),
  },
  {
    name: "start",
    summary: "start an appliance, or one component",
    load: () => import("./verbs/start.ts"),
  },
  {
    name: "status",
    summary: "show what runs where",
    load: () => import("./verbs/status.ts"),
  },
  {
    name: "stop",
    summary: "stop an appliance, or one component",
    load: () => import("./verbs/stop.ts"),
  },
  {
    name: "update",
    summary: "make what runs what the files say",
    load: () => import("./verbs/update.ts"),
  },
  {
    name: "vlan",
    summary: "manage the VLAN tags of the site",
    load: () => import("./verbs/vlan.ts"),
  },
];
