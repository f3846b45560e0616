/** `cui host add|list|remove`: the hosts of the site's inventory. */
import type { Command } from "commander";
import { CollectiveError } from "../errors.ts";
import type { NewHost } from "../site/edit-inventory.ts";
import type { HostListing } from "../manager/change/manage-hosts.ts";
import type { HostVerification } from "../manager/observe/verify-hosts.ts";
import type { CliContext } from "./context.ts";
import type { Manager } from "./manager.ts";
import { renderTable } from "./render-table.ts";

interface AddFlags {
  readonly memory?: string;
  readonly maxMachines?: string;
  readonly arch?: string;
  readonly lab?: string;
}

// Loaded when they are used: the host manager, which is a sub-command as well, is to be small.
const openManager = async (context: CliContext): Promise<Manager> =>
  (await import("./manager.ts")).openManager(context);
const manageHosts = (): Promise<typeof import("../manager/change/manage-hosts.ts")> =>
  import("../manager/change/manage-hosts.ts");

/** Adds the sub-commands to `cui host`. */
export function configureHostInventory(command: Command, context: CliContext): void {
  command
    .command("add")
    .description("add a host to utility.yaml, or all hosts of a lab with its tags and addresses")
    .argument("[name]", "what the site calls it")
    .argument("[address]", "unix:/run/collective/host.sock, or ssh://[user@]host[:port]")
    .option("--memory <size>", "for guests, 16GiB; default what the host says")
    .option("--max-machines <count>", "most machines at once")
    .option("--arch <architecture>", "default what the host says")
    .option("--lab <folder>", "add the hosts of this running lab")
    .addHelpText(
      "after",
      "\nExamples:\n  cui host add h1 ssh://root@h1.example.org\n  cui host add --lab /var/lib/collective/lab\n",
    )
    .action(async (name: string | undefined, address: string | undefined, flags: AddFlags) => {
      await add(context, { name, address, flags });
    });
  command
    .command("list")
    .description("show the hosts with what each says of itself")
    .option("--json", "print it as JSON")
    .addHelpText("after", "\nExample:\n  cui host list --json\n")
    .action(async (flags: { json?: boolean }) => {
      const { site, connect } = await openManager(context);
      const { listSiteHosts } = await manageHosts();
      const hosts = await listSiteHosts(site.inventory, connect);
      if (flags.json === true) context.print(JSON.stringify(hosts, undefined, 2));
      else if (hosts.length === 0) context.print("utility.yaml has no host");
      else for (const line of renderTable([HEAD, ...hosts.map(renderHost)])) context.print(line);
    });
  configureVerify(command, context);
  command
    .command("remove")
    .description("take a host out of utility.yaml")
    .argument("<name>")
    .addHelpText("after", "\nExample:\n  cui host remove h1\n")
    .action(async (name: string) => {
      const { store } = await openManager(context);
      const { removeSiteHost } = await manageHosts();
      await removeSiteHost({ cwd: context.cwd, name, store, onWait: context.warn });
      context.print(`${name} removed`);
    });
}

function configureVerify(command: Command, context: CliContext): void {
  command
    .command("verify")
    .description(
      "read all images, kernels and initrds of the hosts, and repair what is damaged from its repository",
    )
    .argument("[name]", "one host; else all of utility.yaml")
    .option("--json", "print it as JSON")
    .addHelpText(
      "after",
      "\nMachines that run keep the file they were started from; what replaces it is for their next start.\n" +
        "\nExample:\n  cui host verify h1\n",
    )
    .action(async (name: string | undefined, flags: { json?: boolean }) => {
      const { site, connect } = await openManager(context);
      const { verifyHosts } = await import("../manager/observe/verify-hosts.ts");
      const hosts = await verifyHosts(site.inventory.hosts, connect, name);
      if (flags.json === true) context.print(JSON.stringify(hosts, undefined, 2));
      else for (const host of hosts) for (const line of renderVerification(host)) context.print(line);
      requireVerified(hosts);
    });
}

/** @throws CollectiveError HOST_IMAGE_DAMAGED when anything is; else why hosts were not asked to the end, UTILITY_HOST_UNREACHABLE above all */
function requireVerified(hosts: readonly HostVerification[]): void {
  const unverified = hosts.flatMap(({ host, problem }) => (problem === null ? [] : [`${host}: ${problem}`]));
  const damaged = hosts.flatMap(({ host, files }) =>
    files.filter(({ state }) => state === "damaged").map(({ file }) => `${host}: ${file}`),
  );
  const notVerified = `not verified: ${unverified.join(", ")}`;
  if (damaged.length > 0) {
    const more = unverified.length === 0 ? "" : `; ${notVerified}`;
    throw new CollectiveError("HOST_IMAGE_DAMAGED", `damaged still: ${damaged.join(", ")}${more}`, {
      hint: "try again when the hosts and the repositories answer",
    });
  }
  if (unverified.length === 0) return;
  const other = hosts.find(({ code }) => code !== null && code !== "HOST_UNREACHABLE")?.code;
  throw new CollectiveError(other ?? "UTILITY_HOST_UNREACHABLE", notVerified, {
    hint: "nothing is known to be damaged; try again when these hosts answer",
  });
}

function renderVerification({ host, files, problem }: HostVerification): readonly string[] {
  if (problem !== null) return [`${host}: ${problem}`];
  const lines = files
    .filter(({ state }) => state !== "whole")
    .map((found) => `${host}: ${found.state} ${found.file}: ${found.problem}`);
  return [
    ...lines,
    `${host}: ${files.length} file${files.length === 1 ? "" : "s"} read, ${files.length - lines.length} whole`,
  ];
}

async function add(
  context: CliContext,
  { name, address, flags }: { name: string | undefined; address: string | undefined; flags: AddFlags },
): Promise<void> {
  const { connect } = await openManager(context);
  const { addLabHosts, addSiteHost } = await manageHosts();
  const common = { cwd: context.cwd, connect, onWait: context.warn };
  if (flags.lab !== undefined) {
    const hosts = await addLabHosts({ ...common, directory: flags.lab });
    context.print(`${hosts.map((host) => host.name).join(", ")} added`);
    return;
  }
  if (name === undefined || address === undefined) {
    throw new CollectiveError("USAGE", "expected a name and an address, or --lab", {
      hint: "cui host add h1 ssh://root@h1.example.org",
    });
  }
  const added = await addSiteHost({ ...common, host: newHost(name, address, flags) });
  context.print(`${added.name} added (${added.arch ?? ""}, ${added.memory ?? ""})`);
}

function newHost(name: string, address: string, flags: AddFlags): NewHost {
  const { memory, maxMachines, arch } = flags;
  if (maxMachines !== undefined && !/^[0-9]{1,5}$/.test(maxMachines)) {
    throw new CollectiveError("USAGE", `--max-machines expects a number, not ${JSON.stringify(maxMachines)}`);
  }
  return {
    name,
    address,
    ...(memory === undefined ? {} : { memory }),
    ...(maxMachines === undefined ? {} : { maxMachines: Number(maxMachines) }),
    ...(arch === undefined ? {} : { arch }),
  };
}

const HEAD = ["name", "address", "arch", "accelerator", "memory", "machines", ""];

function renderHost(host: HostListing): string[] {
  return [
    host.name,
    host.address,
    host.arch ?? "-",
    host.accelerator ?? "-",
    `${mebibytes(host.usedBytes)}/${mebibytes(host.memoryBytes)} MiB`,
    `${host.machines ?? "-"}/${host.maxMachines}`,
    host.problem ?? "",
  ];
}

function mebibytes(bytes: number | null): string {
  return bytes === null ? "-" : String(Math.floor(bytes / 1024 ** 2));
}
