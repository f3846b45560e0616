/** `cui lab`: hypervisor hosts on one machine, for trying things out. */
import { cacheFolder } from "../../cache-folder.ts";
import { InvalidArgumentError, type Command } from "commander";
import { visible } from "../../diagnostics.ts";
import { CollectiveError } from "../../errors.ts";
import { acceleratorCache, findAccelerator } from "../../host/accelerator.ts";
import { checkLab, type LabProblem } from "../../host/lab/check-lab.ts";
import { repairLab } from "../../host/lab/repair-lab.ts";
import { labDown } from "../../host/lab/lab-down.ts";
import { labExecInherited, placesOf } from "../../host/lab/lab-exec.ts";
import { DEFAULT_LAB_DIRECTORY, labStatus, type LabState } from "../../host/lab/lab-state.ts";
import { labUp, MAX_HOSTS, thisProgram } from "../../host/lab/lab-up.ts";
import type { VerbContext } from "../context.ts";

interface DirectoryOption {
  readonly dir: string;
}

export function configure(command: Command, context: VerbContext): void {
  command.addHelpText(
    "after",
    "\nExample:\n  cui lab up --hosts 2 && cui lab exec outside -- curl http://203.0.113.10/\n",
  );
  configureUp(command, context);
  addDirectory(command.command("down").description("end the lab and remove its files"))
    .addHelpText("after", "\nExample:\n  cui lab down\n")
    .action(async ({ dir }: DirectoryOption) => {
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

interface UpOptions {
  readonly repair?: true;
  readonly hosts: number;
  readonly externalTag?: number;
  readonly owner?: number;
  readonly json?: true;
}

function addDirectory(command: Command): Command {
  return command.option("--dir <folder>", "the lab's folder", DEFAULT_LAB_DIRECTORY);
}

function renderStatus(lab: LabState & { readonly up: boolean }, problems: readonly LabProblem[]): string {
  if (problems.length === 0) return `${lab.up ? "up" : "down"}\n${renderLab(lab)}`;
  const dir = lab.directory === DEFAULT_LAB_DIRECTORY ? "" : ` --dir ${lab.directory}`;
  return [
    "up, but not all of it answers",
    renderLab(lab),
    ...problems.map(({ place, part, detail }) => `${place}: ${part} does not answer: ${visible(detail)}`),
    `  hint: cui lab up --repair${dir} starts it again; what runs goes on`,
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
