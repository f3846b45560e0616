/** The predefined objects: Figure 1 of the paper, with `name` in Appliance and `defaultroute` in VANAppliance. */
import type { SourceFile } from "../source.ts";

const TEXT = `Interface {
  var "required" mac, ip, subnet, netmask;
  var defaultroute;
}

Appliance {
  var name;
  var requires, provides;
  var "required" vanIF;
}

VMAppliance extends Appliance {
  var "required" vm;
  var datadisks;
  Interface ethernet0;
  vanIF = "ethernet0";
}

VANAppliance extends Appliance {
  var defaultroute;
}
`;

/** Places of predefined parameters point into it. */
export const PREDEFINED_FILE: SourceFile = {
  source: { url: "predefined:", version: null, commit: null },
  file: "predefined.cvl",
  displayName: "<predefined>",
  text: TEXT,
};

/** What every interface parameter is: filled in by the utility unless CVL sets it. */
export const INTERFACE = "Interface";

/** What each interface of a machine has. */
export const INTERFACE_PARAMETERS: readonly string[] = ["mac", "ip", "subnet", "netmask", "defaultroute"];

/** Read by the utility before anything runs, so they must be known and not sensitive. */
export const UTILITY_PARAMETERS: ReadonlySet<string> = new Set([
  "vm",
  "datadisks",
  "vanIF",
  "requires",
  "provides",
]);

/** Kept for IPv6; 0.8 is IPv4. */
export const RESERVED_NAMES: ReadonlySet<string> = new Set(["ip6", "subnet6"]);
