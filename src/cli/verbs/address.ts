/** `cui address add|list`: the external segment and its pool of public addresses. */
import type { Command } from "commander";
import { CollectiveError } from "../../errors.ts";
import { addAddresses, setExternal } from "../../site/edit-inventory.ts";
import { formatAddress, parseAddressRange } from "../../network/ipv4.ts";
import { editSite } from "../../site/site.ts";
import { siteUsage } from "../../manager/observe/site-usage.ts";
import { warnUnreachable } from "../unreachable.ts";
import type { CliContext } from "../context.ts";
import { openManager } from "../manager.ts";

interface AddFlags {
  readonly subnet?: string;
  readonly gateway?: string;
  readonly vlan?: string;
}

export function configure(command: Command, context: CliContext): void {
  command.addHelpText("after", "\nExample:\n  cui address list\n");
  command
    .command("add")
    .description("add public addresses; with --subnet and --gateway also say what the external segment is")
    .argument("<addresses>", "198.51.100.10, 198.51.100.10-198.51.100.99 or 198.51.100.64/28")
    .option("--subnet <subnet>", "of the external segment: 198.51.100.0/24")
    .option("--gateway <address>", "of the external segment")
    .option("--vlan <tag>", "of the external segment, or `untagged`", "untagged")
    .addHelpText(
      "after",
      "\nExample:\n  cui address add 198.51.100.10-198.51.100.99 --subnet 198.51.100.0/24 --gateway 198.51.100.1\n",
    )
    .action(async (range: string, flags: AddFlags) => {
      const external = readExternal(flags);
      if (parseAddressRange(range) === undefined)
        throw usage(`expected an address or a range, not ${JSON.stringify(range)}`);
      await editSite(
        context.cwd,
        (text) => addAddresses(external === undefined ? text : setExternal(text, external), range),
        { onWait: context.warn },
      );
      context.print(`${range} added`);
    });
  command
    .command("list")
    .description("show the external segment, its pool, and which interfaces have its addresses")
    .option("--json", "print it as JSON")
    .addHelpText("after", "\nExample:\n  cui address list --json\n")
    .action(async (flags: { json?: boolean }) => {
      await list(context, flags.json === true);
    });
}

async function list(context: CliContext, isJson: boolean): Promise<void> {
  const { site, store, connect } = await openManager(context);
  const { external, addresses } = site.inventory;
  const usage = await siteUsage({ inventory: site.inventory, store, connect });
  const { addresses: used, unreachable } = usage;
  warnUnreachable(context, unreachable, "the addresses it uses are not counted");
  const pool = addresses.map(({ first, last }) => ({
    first: formatAddress(first),
    last: formatAddress(last),
  }));
  if (isJson) {
    context.print(JSON.stringify({ external: external ?? null, pool, used, unreachable }, undefined, 2));
    return;
  }
  if (external !== undefined) {
    const where = external.tag === null ? "untagged" : `VLAN ${external.tag}`;
    context.print(`external segment ${external.subnet}, gateway ${external.gateway}, ${where}`);
  }
  for (const { first, last } of pool) context.print(first === last ? first : `${first}-${last}`);
  for (const { address, network, component, onHost } of used)
    context.print(
      `${address}  ${onHost === null ? `${network} ${component}` : `${onHost}, which the state does not know`}`,
    );
  context.print(`${usage.pool.free} of ${usage.pool.total} addresses are free`);
}

function readExternal(flags: AddFlags): Parameters<typeof setExternal>[1] | undefined {
  const { subnet, gateway, vlan = "untagged" } = flags;
  if (subnet === undefined && gateway === undefined) return undefined;
  if (subnet === undefined || gateway === undefined) throw usage("--subnet and --gateway belong together");
  const tag = Number(vlan);
  if (vlan !== "untagged" && !(Number.isInteger(tag) && tag >= 1 && tag <= 4094)) {
    throw usage(`--vlan expects a tag from 1 to 4094 or untagged, not ${JSON.stringify(vlan)}`);
  }
  return { subnet, gateway, vlan: vlan === "untagged" ? "untagged" : tag };
}

function usage(message: string): CollectiveError {
  return new CollectiveError("USAGE", message, { hint: "cui address add --help shows the form" });
}
