/** Digests over plain data: the same whatever the order of keys, the same in CI and on the manager. */
import { createHash } from "node:crypto";
import type { LinkedProgram } from "../cvl/link/program.ts";
import type { NetworkDescription } from "../network/description.ts";
import type { Plan, PlanInputs } from "./plan.ts";

/** JSON with the keys of every object sorted and nothing between the tokens. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((element) => canonicalJson(element ?? null)).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value ?? null);
  const pairs = Object.entries(value)
    .filter(([, entry]) => entry !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, entry]) => `${JSON.stringify(key)}:${canonicalJson(entry)}`);
  return `{${pairs.join(",")}}`;
}

export function digestOf(value: unknown): string {
  return createHash("sha256").update(canonicalJson(value)).digest("hex");
}

/** The inputs of a linked program. Files beside the root are named without their folder, so every checkout gives the same. */
export function collectInputs(program: LinkedProgram, policy: unknown): PlanInputs {
  const files = [...program.files.values()].map(({ source, file, text }) => {
    const beside = source.url === program.root.source.url && source.version === program.root.source.version;
    return {
      url: beside ? null : source.url,
      version: beside ? null : source.version,
      commit: beside ? null : source.commit,
      file: beside ? file.slice(file.lastIndexOf("/") + 1) : file,
      digest: createHash("sha256").update(text).digest("hex"),
    };
  });
  return { files: files.sort((a, b) => (canonicalJson(a) < canonicalJson(b) ? -1 : 1)), policy };
}

/** SHA-256 over the inputs and the wanted images: what an approval binds to. */
export function digestInputs(wanted: NetworkDescription, inputs: PlanInputs | undefined): string {
  const images = Object.entries(wanted.machines).map(([path, { image }]) => [path, image.digest]);
  return digestOf({ appliance: wanted.appliance, images, inputs: inputs ?? null });
}

/** SHA-256 over a plan's inputs, its actions and the running side: what a plan file made by a manager is applied with. */
export function digestPlan(plan: Plan, running: NetworkDescription | null): string {
  const { inputDigest, actions, refusals } = plan;
  return digestOf({ inputDigest, actions, refusals, running });
}
