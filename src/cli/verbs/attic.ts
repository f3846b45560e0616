/** `cui attic list|restore|purge`: the data of components and networks that are gone. */
import type { Command } from "commander";
import { visible } from "../../diagnostics.ts";
import { CollectiveError } from "../../errors.ts";
import {
  entriesOf,
  listAttic,
  requireOwn,
  theEntry,
  type AtticListing,
  type FoundEntry,
} from "../../manager/data/list-attic.ts";
import { requireAnAnswer } from "../../manager/data/ask-hosts.ts";
import { choosePurge, purgeAttic } from "../../manager/data/purge-attic.ts";
import { LOOK_MS } from "../../manager/observe/observe-hosts.ts";
import { machineName } from "../../network/paths.ts";
import { configureAtticRestore } from "../attic-restore.ts";
import { confirmForGood } from "../confirm.ts";
import type { CliContext } from "../context.ts";
import { openManager, type Manager } from "../manager.ts";
import { namedData, requireKnownName } from "../network-argument.ts";
import { parseBefore } from "../parse-before.ts";
import { renderTable } from "../render-table.ts";
import { renderBytes, renderTime } from "../sizes.ts";
import { warnUnreachable } from "../unreachable.ts";

const UNKNOWN = "what lies in its attic is unknown";

export function configure(command: Command, context: CliContext): void {
  command.addHelpText(
    "after",
    "\nExamples:\n  cui attic list\n  cui attic restore 3f2a1c9b0d4e acme.cvl w\n  cui attic purge --older-than 90d\n",
  );
  configureList(command.command("list"), context);
  configureAtticRestore(command.command("restore"), context);
  configurePurge(command.command("purge"), context);
}

interface ListFlags {
  readonly json?: boolean;
  readonly object?: string;
}

function configureList(command: Command, context: CliContext): void {
  command
    .description("show the data disks in the attics of all hosts")
    .argument("[cvl]", "only those of this root file's network, or of this network id")
    .option("--object <name>", "the root object, where the file has several")
    .option("--json", "print it as JSON")
    .addHelpText("after", "\nExamples:\n  cui attic list\n  cui attic list acme.cvl --json\n")
    .action(async (cvl: string | undefined, flags: ListFlags) => {
      const manager = await openManager(context);
      const name = cvl === undefined ? undefined : { cvl, object: flags.object };
      const named = name === undefined ? undefined : namedData(manager, context, name);
      const listing = await listAttic({ ...manager, inventory: manager.site.inventory, limitMs: LOOK_MS });
      const entries = named === undefined ? listing.entries : entriesOf(listing, named);
      if (name !== undefined && named !== undefined && entries.length === 0)
        await requireKnownName(manager, context, { name, named });
      if (flags.json === true) {
        context.print(JSON.stringify({ ...listing, entries }, undefined, 2));
        return;
      }
      warnUnreachable(context, listing.unreachable, UNKNOWN);
      if (entries.length === 0) context.print(nothingIn(listing));
      else for (const line of renderTable([HEAD, ...entries.map(renderEntry)])) context.print(line);
    });
}

function nothingIn({ unreachable }: AtticListing): string {
  return unreachable.length === 0
    ? "the attic is empty"
    : "nothing is in the attics of the hosts that answer";
}

const HEAD = [
  "id",
  "network",
  "component",
  "device",
  "host",
  "size",
  "on disk",
  "since (UTC)",
  "put there by",
];

function renderEntry(entry: FoundEntry): string[] {
  return [
    entry.id,
    entry.file === null ? `${entry.networkId} (gone)` : `${entry.file} (${entry.networkId})`,
    entry.component || "(root)",
    entry.device,
    entry.host,
    entry.sizeBytes === null ? "damaged" : renderBytes(entry.sizeBytes),
    renderBytes(entry.allocatedBytes),
    renderTime(entry.movedAt),
    `${entry.command === null ? "-" : `cui ${visible(entry.command)}`}${entry.isOtherSite ? " (another site's)" : ""}`,
  ];
}

interface PurgeFlags {
  readonly network?: string;
  readonly object?: string;
  readonly olderThan?: string;
  readonly host?: string;
  readonly yes?: boolean;
  readonly json?: boolean;
}

function configurePurge(command: Command, context: CliContext): void {
  command
    .description("delete data disks in the attic for good; asks twice")
    .argument("[entry...]", "their ids")
    .option("--network <cvl>", "all of this root file's network, or of this network id")
    .option("--object <name>", "the root object, where the file has several")
    .option("--older-than <age>", "those that went there before: 90d, 12h, 4w, or a date, 2026-01-31")
    .option("--host <name>", "only those on this host")
    .option("--yes", "do not ask")
    .option("--json", "print the result as JSON")
    .addHelpText(
      "after",
      `
What is shown goes, and nothing else: an entry that came meanwhile stays. --network, --older-than and --host
together mean what all of them name.

Examples:
  cui attic purge 3f2a1c9b0d4e
  cui attic purge --network acme.cvl --older-than 90d
`,
    )
    .action(async (ids: readonly string[], flags: PurgeFlags) => {
      await runPurge(context, ids, flags);
    });
}

async function runPurge(context: CliContext, ids: readonly string[], flags: PurgeFlags): Promise<void> {
  const hasChoice = [flags.network, flags.olderThan, flags.host].some((flag) => flag !== undefined);
  if (ids.length === 0 && !hasChoice) throw nothingNamed();
  if (ids.length > 0 && hasChoice)
    throw new CollectiveError("USAGE", "expected ids, or --network, --older-than and --host, not both");
  const before = flags.olderThan === undefined ? undefined : parseBefore(flags.olderThan, new Date());
  const manager = await openManager(context);
  const options = { ...manager, inventory: manager.site.inventory };
  const listing = await listAttic(options);
  const chosen =
    ids.length > 0
      ? named(manager, listing, ids)
      : await chosenBy(manager, context, { listing, flags, before });
  if (flags.json !== true) warnUnreachable(context, listing.unreachable, `${UNKNOWN}, and stays`);
  await confirmForGood(context, chosen.map(describeLoss), { yes: flags.yes, word: "purge" });
  const { purged, gone } = await purgeAttic({ ...options, entries: chosen });
  if (flags.json === true) {
    const { unreachable } = listing;
    context.print(JSON.stringify({ purged, gone, unreachable }, undefined, 2));
    return;
  }
  for (const entry of gone) context.warn(`note: ${entry.id} was not in the attic any more`);
  const freed = purged.reduce((sum, { allocatedBytes }) => sum + allocatedBytes, 0);
  context.print(
    purged.length === 0
      ? `nothing was purged${listing.unreachable.length === 0 ? "" : " on the hosts that answer"}`
      : `purged ${purged.length} ${purged.length === 1 ? "entry" : "entries"}, ${renderBytes(freed)}`,
  );
}

function named({ site }: Manager, listing: AtticListing, ids: readonly string[]): readonly FoundEntry[] {
  return [...new Set(ids.map((id) => requireOwn(theEntry(listing, id), site.inventory)))];
}

async function chosenBy(
  manager: Manager,
  context: CliContext,
  what: { readonly listing: AtticListing; readonly flags: PurgeFlags; readonly before: Date | undefined },
): Promise<readonly FoundEntry[]> {
  const { network, object, host } = what.flags;
  const asked = manager.site.inventory.hosts.filter(({ name }) => host === undefined || name === host);
  if (host !== undefined && asked.length === 0) {
    throw new CollectiveError("UTILITY_HOST_UNKNOWN", `utility.yaml has no host ${host}`, {
      hint: "`cui host list` shows the hosts",
    });
  }
  requireAnAnswer(asked, what.listing.unreachable);
  const choice = { before: what.before, host };
  if (network === undefined) return choosePurge(what.listing.entries, choice);
  const name = { cvl: network, object };
  const named = namedData(manager, context, name);
  const entries = entriesOf(what.listing, named);
  if (entries.length === 0) await requireKnownName(manager, context, { name, named });
  requireOneNetwork(network, entries);
  return choosePurge(entries, choice);
}

/** A removed network of this file, and another one since: which is meant is said by id. */
function requireOneNetwork(name: string, entries: readonly FoundEntry[]): void {
  const ids = [...new Set(entries.map(({ networkId }) => networkId))];
  if (ids.length <= 1) return;
  throw new CollectiveError(
    "UTILITY_ATTIC_UNKNOWN",
    `${name} stands for several networks: ${ids.join(", ")}`,
    {
      data: { networks: ids },
      hint: `name one by its id: cui attic purge --network ${ids[0] ?? ""}`,
    },
  );
}

function describeLoss(entry: FoundEntry): string {
  const { device, component, networkId, host, sizeBytes, allocatedBytes, movedAt, id } = entry;
  const size = `${renderBytes(sizeBytes)}, ${renderBytes(allocatedBytes)} on disk`;
  return `delete for good ${device} of ${machineName(component)} of ${networkId} on ${host} (${size}, in the attic since ${renderTime(movedAt)} UTC, ${id})`;
}

function nothingNamed(): CollectiveError {
  return new CollectiveError("USAGE", "expected ids of entries, or --network, --older-than or --host", {
    hint: "cui attic list shows the ids; cui attic purge --older-than 90d",
  });
}
