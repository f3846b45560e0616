/** The NoCloud seed of a machine whose VM description says `parameters: cloud-init`. */
import { createHash } from "node:crypto";
import { stringify as stringifyYaml } from "yaml";
import type { InterfaceSpec, MachineSpec } from "./host.ts";
import { findParameter, renderParameterFile } from "./parameter-lines.ts";

/** cloud-init reads YAML 1.1, where `on` is true and `52:54:00:12:34:56` a number: every string is quoted, keys as well. */
function stringify(value: unknown): string {
  return stringifyYaml(value, {
    defaultStringType: "QUOTE_DOUBLE",
    defaultKeyType: "QUOTE_DOUBLE",
    lineWidth: 0,
  });
}

/** Where the guest finds its set, in the format of fw_cfg. */
const PARAMETER_FILE = "/run/collective/parameters";

/** File name → text: meta-data, user-data and network-config; and `parameters` for guests without cloud-init. */
export function renderSeedFiles(spec: MachineSpec): Readonly<Record<string, string>> {
  const parameters = renderParameterFile(spec.parameterLines);
  return {
    parameters,
    // cloud-init runs its once-per-instance steps anew when the set or the image changed.
    "meta-data": stringify({ "instance-id": instanceId(spec, parameters), "local-hostname": hostName(spec) }),
    "user-data": `#cloud-config\n${stringify({
      bootcmd: [["mkdir", "-p", "/run/collective"]],
      write_files: [
        {
          path: PARAMETER_FILE,
          permissions: "0600",
          encoding: "b64",
          content: Buffer.from(parameters).toString("base64"),
        },
      ],
    })}`,
    "network-config": stringify({
      version: 2,
      ethernets: Object.fromEntries(spec.interfaces.map((nic) => [nic.name, renderNetwork(spec, nic)])),
    }),
  };
}

/** @see cloud-init "Networking config Version 2" */
function renderNetwork({ parameterLines }: MachineSpec, nic: InterfaceSpec): Record<string, unknown> {
  const value = (parameter: string): string | undefined =>
    findParameter(parameterLines, `${nic.name}.${parameter}`);
  const [ip, netmask, defaultroute] = [value("ip"), value("netmask"), value("defaultroute")];
  return {
    match: { macaddress: nic.mac },
    dhcp4: false,
    ...(ip === undefined || netmask === undefined
      ? { optional: true }
      : { addresses: [`${ip}/${prefixLength(netmask)}`] }),
    ...(defaultroute === undefined ? {} : { routes: [{ to: "0.0.0.0/0", via: defaultroute }] }),
  };
}

function prefixLength(netmask: string): number {
  return netmask
    .split(".")
    .reduce((bits, part) => bits + (Number(part).toString(2).match(/1/g)?.length ?? 0), 0);
}

function instanceId(spec: MachineSpec, parameters: string): string {
  return `collective-${createHash("sha256").update(spec.image.digest).update(parameters).digest("hex").slice(0, 32)}`;
}

function hostName({ id }: MachineSpec): string {
  return (id.component === "" ? id.networkId : id.component).replace(/[._]/g, "-").slice(0, 63);
}
