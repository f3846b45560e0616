/**
 * Sensitive values: taken from the environment, held in memory, sent to the host, kept nowhere. What the state keeps is a
 * keyed MAC, whose key is a file beside the state repository, never in it. Descriptions never hold a clear value; it is only in
 * an instance tree that was evaluated with the supplied values.
 */
import { createHmac, randomBytes } from "node:crypto";
import { link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Element, InstanceTree, SensitiveElement } from "../../cvl/tree.ts";
import { CollectiveError } from "../../errors.ts";
import type { MachineDescription, NetworkDescription } from "../../network/description.ts";
import { interfacePath } from "../records/allocation.ts";

const PREFIX = "CUI_SECRET_";
const KEY_BYTES = 32;

/**
 * Name of the environment variable of a sensitive parameter: `CUI_SECRET_<Root>__<path>__<parameter>`, the dots of the path
 * written `__`. `rootpw` of component `g.l` in AcmeOffice is `CUI_SECRET_AcmeOffice__g__l__rootpw`, `key` of AcmeOffice itself
 * `CUI_SECRET_AcmeOffice__key`.
 */
export function secretVariable(root: string, parameter: string): string {
  return `${PREFIX}${root}__${parameter.replaceAll(".", "__")}`;
}

/**
 * The values the environment has for the sensitive parameters a network waits for, by full path.
 * @throws CollectiveError UTILITY_SECRET_AMBIGUOUS when one variable would stand for two parameters.
 */
export function suppliedSecrets(
  description: NetworkDescription,
  env: Readonly<Record<string, string | undefined>>,
): ReadonlyMap<string, readonly string[]> {
  const supplied = new Map<string, readonly string[]>();
  const owners = new Map<string, string>();
  for (const parameter of awaitedSecrets(Object.values(description.machines))) {
    const variable = secretVariable(description.appliance, parameter);
    const owner = owners.get(variable);
    if (owner !== undefined) throw ambiguous(variable, [owner, parameter]);
    owners.set(variable, parameter);
    const value = env[variable];
    if (value !== undefined && value !== "") supplied.set(parameter, [value]);
  }
  return supplied;
}

/** @throws CollectiveError UTILITY_SECRET_MISSING naming every parameter of the machines that has no value, with its variable. */
export function requireSecrets(
  machines: readonly MachineDescription[],
  options: { readonly appliance: string; readonly supplied: ReadonlyMap<string, unknown> },
): void {
  const missing = awaitedSecrets(machines)
    .filter((parameter) => !options.supplied.has(parameter))
    .map((parameter) => ({ parameter, variable: secretVariable(options.appliance, parameter) }));
  if (missing.length === 0) return;
  const list = missing.map((entry) => `\n  ${entry.parameter}: set ${entry.variable}`).join("");
  throw new CollectiveError(
    "UTILITY_SECRET_MISSING",
    `${missing.length === 1 ? "a sensitive parameter has" : `${missing.length} sensitive parameters have`} no value${list}`,
    {
      data: { missing },
      hint: "set the variables in the environment of the command; the values are never stored",
    },
  );
}

/** The elements of a machine's parameter with clear values as far as they were supplied; never to be stored or shown. */
export function clearElements(
  tree: InstanceTree,
  machine: MachineDescription,
  name: string,
): readonly Element[] {
  const elements = machine.parameters[name] ?? [];
  if (!elements.some(isSensitive)) return elements;
  return tree.components.get(machine.path)?.parameters.get(name)?.elements ?? [];
}

/** MACs of a machine's sensitive parameters by the name they are sent under; without those that were not supplied. */
export function sensitiveMacs(
  machine: MachineDescription,
  options: { readonly tree: InstanceTree; readonly key: Uint8Array; readonly networkId: string },
): Record<string, string> {
  const macs: Record<string, string> = {};
  for (const [name, elements] of Object.entries(machine.parameters)) {
    if (!elements.some(isSensitive)) continue;
    const values = clearElements(options.tree, machine, name).map(clearValue);
    if (values.length === 0 || values.includes(undefined)) continue;
    const message = JSON.stringify([options.networkId, machine.path, name, values]);
    macs[name] = createHmac("sha256", options.key).update(message).digest("hex");
  }
  return macs;
}

/** The value of an element that has one. */
export function clearValue(element: Element): string | undefined {
  if (typeof element === "string") return element;
  return element.kind === "sensitive" ? element.value : undefined;
}

/** The key of the MACs, made on first use: `<state>.key`, readable by its owner only. */
export async function loadMacKey(stateDirectory: string): Promise<Uint8Array> {
  const file = `${stateDirectory.replace(/\/+$/, "")}.key`;
  const found = await readFile(file).catch(() => undefined);
  if (found?.length === KEY_BYTES) return found;
  await mkdir(path.dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString("hex")}`;
  await writeFile(temporary, randomBytes(KEY_BYTES), { mode: 0o600, flag: "wx" });
  // A link fails when another manager was faster: both then read the one key.
  await link(temporary, file).catch(() => undefined);
  await rm(temporary, { force: true });
  return readFile(file);
}

/** Full paths of the sensitive parameters the machines' parameters are made from and wait for, each once. */
function awaitedSecrets(machines: readonly MachineDescription[]): string[] {
  const awaited = new Set<string>();
  for (const machine of machines) {
    for (const [name, elements] of Object.entries(machine.parameters)) {
      for (const element of elements) {
        if (!isSensitive(element)) continue;
        const sources = element.from.length > 0 ? element.from : [interfacePath(machine.path, name)];
        for (const parameter of sources) if (element.waitsFor.includes(parameter)) awaited.add(parameter);
      }
    }
  }
  return [...awaited].sort();
}

function isSensitive(element: Element): element is SensitiveElement {
  return typeof element !== "string" && element.kind === "sensitive";
}

function ambiguous(variable: string, parameters: readonly string[]): CollectiveError {
  return new CollectiveError(
    "UTILITY_SECRET_AMBIGUOUS",
    `${variable} would stand for both ${parameters.join(" and ")}`,
    { hint: "rename one of the components so that no name holds `__`" },
  );
}
