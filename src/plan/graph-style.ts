/** Colours of drawings, readable on white and on the dark themes of forges, where a drawing keeps its own light fills. */
import { ACTION_KINDS } from "./action-kinds.ts";
import type { GraphChange } from "./graph-model.ts";

export interface GraphStyle {
  readonly fill: string;
  readonly border: string;
  readonly text: string;
}

export const STYLES = {
  machine: { fill: "#ffffff", border: "#64748b", text: "#0f172a" },
  gateway: { fill: "#e0f2fe", border: "#0369a1", text: "#0c4a6e" },
  segment: { fill: "#334155", border: "#334155", text: "#ffffff" },
  external: { fill: "#fef3c7", border: "#b45309", text: "#78350f" },
  added: { fill: "#dcfce7", border: "#15803d", text: "#14532d" },
  parameters: { fill: "#dbeafe", border: "#1d4ed8", text: "#1e3a8a" },
  restart: { fill: "#ffedd5", border: "#c2410c", text: "#7c2d12" },
  replace: { fill: "#f3e8ff", border: "#7e22ce", text: "#581c87" },
  data: { fill: "#fee2e2", border: "#b91c1c", text: "#7f1d1d" },
} as const satisfies Record<string, GraphStyle>;

export type StyleName = keyof typeof STYLES;

/** How a machine is drawn: by what the plan does to it, else by what it is. */
export function machineStyle(change: GraphChange | undefined, isGateway: boolean): StyleName {
  if (change?.class === "data") return "data";
  switch (change?.kind) {
    case "start":
      return "added";
    case "remove":
    case "stop":
      return "data";
    case "replace":
      return "replace";
    case "restart":
      return "restart";
    case "resume":
    case "send-parameters":
      return "parameters";
    default:
      return isGateway ? "gateway" : "machine";
  }
}

/** `replace`, `remove, class data`. */
export function describeChange({ kind, class: name }: GraphChange): string {
  const words = ACTION_KINDS[kind].drawn ?? ACTION_KINDS[kind].words;
  return name === "data" ? `${words}, class data` : words;
}
