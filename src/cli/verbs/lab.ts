/** `cui lab`: hypervisor hosts on one machine, for trying things out. */
import path from "node:path";
import { cacheFolder } from "../../cache-folder.ts";
import { InvalidArgumentError, type Command } from "commander";
import { visible } from "../../diagnostics.ts";
import { CollectiveError } from "../../errors.ts";
import { acceleratorCache, findAccelerator } from "../../host/accelerator.ts";
import { checkLab, type LabProblem } from "../../host/lab/check-lab.ts";
import { repairLab } from "../../host/lab/repair-lab.ts";
import { labContents } from "../../host/lab/lab-contents.ts";
import { labDown } from "../../host/lab/lab-down.ts";
import { labExecInherited, placesOf } from "../../host/lab/lab-exec.ts";
import { DEFAULT_LAB_DIRECTORY, labStatus, readLabState, type LabState } from "../../host/lab/lab-state.ts";
import { labUp, MAX_HOSTS, thisProgram } from "../../host/lab/lab-up.ts";
import { confirm } from "../confirm.ts";
import type { VerbContext } from "../context.ts";

/** What is asked about fits on a screen. */
const MOST_NAMED = 20;

interface DirectoryOption {
  readonly dir: string;
}

interface YesOption {
  readonly yes?: true;
}

export function configure(command: Command, context: VerbContext): void {
  command.addHelpText(
    "after",
    "\nExample:\n  cui lab up --hosts 2 && cui lab exec outside -- curl http://203.0.113.10/\n",
  );
  configureUp(command, context);
  addDirectory(command.command("down").description("end the lab and remove its files"))
    .option("--yes", "do not ask")
    .addHelpText("after", "\nExamples:\n  cui lab down\n  cui lab down --yes\n")
    .action(async ({ dir, yes }: DirectoryOption & YesOption) => {
      await confirmEnd(context, await labStatus(dir), yes);
      await labDown(dir);
      context.print(`the lab in ${dir} is gone`);
    });
  addDirectory(command.command("status").description("show the lab's hosts and segments"))
    .option("--json", "print it as JSON")
    .addHelpText("after", "\nExample:\n  cui lab status --json\n")
    .action(async ({ dir, json }: DirectoryOption & { json?: true }) => {
      const lab = await labStatus(dir);
      const problems = lab.up ? await checkLab(lab) : [];
      if (json === true) context.print(JSON.stringify({ ...lab, problems }));
      else context.print(renderStatus(lab, problems));
      requireWhole(lab, problems);
    });
  addDirectory(command.command("exec").description("run a program on a host of the lab, or outside"))
    .argument("<place>", "host1, host2, …, or outside")
    .argument("<command...>", "the program and its arguments, after --")
    .addHelpText("after", "\nExample:\n  cui lab exec host1 -- virsh list\n")
    .action(async (place: string, args: [string, ...string[]], { dir }: DirectoryOption) => {
      const lab = await labStatus(dir);
      if (lab.up) checkPlace(lab, place);
      context.exitWith(await labExecInherited({ directory: dir, place }, args));
    });
}

function configureUp(command: Command, context: VerbContext): void {
  addDirectory(
    command.command("up").description("make hosts with libvirt and Open vSwitch in namespaces of their own"),
  )
    .option("--hosts <count>", "how many", parseHosts, 2)
    .option("--external-tag <tag>", "VLAN tag of the external segment (untagged without)", parseNumber)
    .option("--yes", "do not ask before what is left of a lab that is down makes room")
    .option("--owner <pid>", "the lab ends when this process does", parseNumber)
    .option("--repair", "start the parts of a lab that is up again which do not answer")
    .option("--json", "print the lab as JSON")
    .addHelpText("after", "\nExample:\n  cui lab up --hosts 2\n")
    .action(async (options: DirectoryOption & UpOptions) => {
      const startedAt = Date.now();
      if (options.repair === true) {
        await repair(context, options.dir);
        return;
      }
      const left = await leftOf(options.dir);
      if (left !== undefined) await confirmEnd(context, left, options.yes);
      const lab = await labUp({
        directory: options.dir,
        hosts: options.hosts,
        cache: cacheFolder(context.env),
        lifetime: options.owner === undefined ? "until-down" : { pid: options.owner },
        externalTag: options.externalTag ?? null,
      });
      if (options.json === true) context.print(JSON.stringify(lab));
      else
        context.print(
          `${renderLab(lab)}\nup in ${((Date.now() - startedAt) / 1000).toFixed(1)} s; cui lab down ends it`,
        );
    });
}

async function repair(context: VerbContext, dir: string): Promise<void> {
  const lab = await labStatus(dir);
  if (!lab.up) {
    throw new CollectiveError("LAB_NOT_FOUND", `the lab in ${dir} is down`, {
      hint: "cui lab up makes one",
    });
  }
  const accelerator = await findAccelerator(acceleratorCache(cacheFolder(context.env)));
  const started = await repairLab(lab, { cui: thisProgram(), accelerator });
  const lines = started.map(({ place, part }) => `${place}: started ${part} again`);
  context.print(lines.length === 0 ? "every part answers" : lines.join("\n"));
}

/** A lab that ended without its files: after a restart of the machine its disks are there still. */
async function leftOf(dir: string): Promise<(LabState & { readonly up: false }) | undefined> {
  if ((await readLabState(path.resolve(dir))) === undefined) return undefined;
  const { up, ...state } = await labStatus(dir);
  return up ? undefined : { ...state, up };
}

/** Nothing of a lab goes to an attic: its disks go with it. */
async function confirmEnd(
  context: VerbContext,
  lab: LabState & { readonly up: boolean },
  yes: true | undefined,
): Promise<void> {
  const contents = await labContents(lab);
  if (contents.length === 0) return;
  const more = contents.length - MOST_NAMED;
  const named = more > 0 ? [...contents.slice(0, MOST_NAMED), `and ${more} more`] : contents;
  await confirm(context, [`with the lab in ${lab.directory} goes, for good:`, ...named], { yes });
}

interface UpOptions extends YesOption {
  readonly repair?: true;
  readonly hosts: number;
  readonly externalTag?: number;
  readonly owner?: number;
  readonly json?: true;
}

function addDirectory(command: Command): Command {
  return command.option("--dir <folder>", "the lab's folder", DEFAULT_LAB_DIRECTORY);
}

/** @throws CollectiveError LAB_INCOMPLETE */
function requireWhole({ directory }: LabState, problems: readonly LabProblem[]): void {
  if (problems.length === 0) return;
  const list = problems.map(({ place, part }) => `the ${part} of ${place}`);
  throw new CollectiveError(
    "LAB_INCOMPLETE",
    `the lab does not answer with all its parts: ${list.join(", ")}`,
    {
      hint: `cui lab up --repair${dirOption(directory)} starts them again; what runs goes on`,
    },
  );
}

function dirOption(directory: string): string {
  return directory === DEFAULT_LAB_DIRECTORY ? "" : ` --dir ${directory}`;
}

function renderStatus(lab: LabState & { readonly up: boolean }, problems: readonly LabProblem[]): string {
  if (problems.length === 0) return `${lab.up ? "up" : "down"}\n${renderLab(lab)}`;
  return [
    "up, but not all of it answers",
    renderLab(lab),
    ...problems.map(({ place, part, detail }) => `${place}: ${part} does not answer: ${visible(detail)}`),
  ].join("\n");
}

function renderLab({ hosts, external, vlans }: LabState): string {
  const { addresses } = external;
  return [
    ...hosts.map(({ name, address }) => `${name.padEnd(10)} ${address}`),
    `outside    ${external.gateway} on ${external.subnet} (${external.tag === null ? "untagged" : `VLAN ${external.tag}`})`,
    `free       VLANs ${vlans.from}-${vlans.to}, addresses ${addresses.first}-${addresses.last}`,
  ].join("\n");
}

function checkPlace(lab: LabState, place: string): void {
  const places = placesOf(lab);
  if (places.includes(place)) return;
  throw new CollectiveError("USAGE", `the lab has no "${place}"`, { hint: `it has ${places.join(", ")}` });
}

function parseHosts(text: string): number {
  const hosts = parseNumber(text);
  if (hosts >= 1 && hosts <= MAX_HOSTS) return hosts;
  throw new CollectiveError("USAGE", `a lab has 1 to ${MAX_HOSTS} hosts, not ${hosts}`);
}

function parseNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("expected a number");
  return Number(text);
}
