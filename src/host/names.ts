/** Names on a host, all derived from (network id, component path), so that they are found again without a memory. */
import { createHash } from "node:crypto";
import { machineIdSchema } from "./data/id-schema.ts";
import type { MachineId } from "./host.ts";

/** 16 hex digits that stand for a machine in paths and port names, where room is short. */
export function machineKey(id: MachineId): string {
  return machineHash(id).slice(0, 16);
}

/** `cui.office-3f2a.w`; a long path is cut and told apart by the key. */
export function domainName(id: MachineId): string {
  const name = `cui.${id.networkId}${id.component === "" ? "" : `.${id.component}`}`;
  return name.length <= 120 ? name : `${name.slice(0, 100)}-${machineKey(id)}`;
}

/** The domain's UUID (version 8: made by the application). */
export function domainUuid(id: MachineId): string {
  return uuidOf(machineHash(id));
}

/** The name of the machine's n-th port on the bridge: at most 15 characters. */
export function portName(id: MachineId, index: number): string {
  return `cu${machineKey(id).slice(0, 10)}.${index}`;
}

/** The UUID by which Open vSwitch knows the machine's n-th interface. */
export function interfaceUuid(id: MachineId, index: number): string {
  return uuidOf(
    createHash("sha256")
      .update(`${machineHash(id)}/${index}`)
      .digest("hex"),
  );
}

/** The folder name of a component; no component is named `_root`, names start with a letter. */
export function componentFolder(component: string): string {
  return component === "" ? "_root" : component;
}

/** The machine a folder stands for; undefined for one of somebody else's, `lost+found`. */
export function machineOfFolder(networkId: string, folder: string): MachineId | undefined {
  const id = { networkId, component: folder === "_root" ? "" : folder };
  return machineIdSchema.safeParse(id).success ? id : undefined;
}

function machineHash(id: MachineId): string {
  return createHash("sha256").update(`collective machine\0${id.networkId}\0${id.component}`).digest("hex");
}

function uuidOf(hex: string): string {
  const variant = "89ab"[parseInt(hex[16] ?? "0", 16) & 3] ?? "8";
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
