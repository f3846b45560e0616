/** `cui vlan add|list`: the VLAN tags networks may get. */
import type { Command } from "commander";
import { CollectiveError } from "../../errors.ts";
import { addVlans } from "../../site/edit-inventory.ts";
import { parseVlanRange } from "../../site/inventory.ts";
import { editSite } from "../../site/site.ts";
import type { CliContext } from "../context.ts";
import { openManager } from "../manager.ts";
import { siteUsage } from "../../manager/observe/site-usage.ts";
import { warnUnreachable } from "../unreachable.ts";

export function configure(command: Command, context: CliContext): void {
  command.addHelpText("after", "\nExample:\n  cui vlan add 100-199 && cui vlan list\n");
  command
    .command("add")
    .description("add a tag or a range of tags")
    .argument("<tags>", "100, or 100-199")
    .addHelpText("after", "\nExample:\n  cui vlan add 100-199\n")
    .action(async (tags: string) => {
      if (parseVlanRange(tags) === undefined) {
        throw new CollectiveError(
          "USAGE",
          `expected a VLAN tag from 1 to 4094 or a range, not ${JSON.stringify(tags)}`,
          {
            hint: "cui vlan add 100-199",
          },
        );
      }
      const { inventory } = await editSite(context.cwd, (text) => addVlans(text, tags), {
        onWait: context.warn,
      });
      context.print(`${inventory.vlans.length} VLAN tags`);
    });
  command
    .command("list")
    .description("show the tags and which networks have them")
    .option("--json", "print it as JSON")
    .addHelpText("after", "\nExample:\n  cui vlan list --json\n")
    .action(async (flags: { json?: boolean }) => {
      const { site, store, connect } = await openManager(context);
      const { tags, unreachable } = await siteUsage({ inventory: site.inventory, store, connect });
      warnUnreachable(context, unreachable, "the tags it uses are not counted");
      if (flags.json === true) context.print(JSON.stringify(tags, undefined, 2));
      else {
        const taken = tags.filter(({ network }) => network !== null);
        for (const { tag, network, onHost } of taken)
          context.print(
            `${tag}  ${onHost === null ? (network ?? "") : `${onHost}, which the state does not know`}`,
          );
        context.print(`${tags.length - taken.length} of ${tags.length} tags are free`);
      }
    });
}
