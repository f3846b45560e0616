/** `cui host`: the host manager on this machine. */
import { hostname } from "node:os";
import { Option, type Command } from "commander";
import { CollectiveError } from "../../errors.ts";
import { acceleratorCache, findAccelerator, type Accelerator } from "../../host/accelerator.ts";
import { checkHost } from "../../host/check-host.ts";
import type { HostCheck } from "../../host/host-check.ts";
import { runHostDaemon } from "../../host/host-daemon.ts";
import { relayToSocket } from "../../host/relay.ts";
import { cacheFolder } from "../../cache-folder.ts";
import type { CliContext } from "../context.ts";
import { configureHostInventory } from "../host-inventory.ts";

const SOCKET = "/run/collective/host.sock";
const SECRETS = "/run/collective/secrets";

export function configure(command: Command, context: CliContext): void {
  command.addHelpText("after", "\nExample:\n  cui host check && cui host serve\n");
  configureServe(command, context);
  command
    .command("connect")
    .description("join standard input and output with the host manager (run by ssh)")
    .option("--socket <path>", "the host manager's socket", SOCKET)
    .addHelpText("after", "\nExample:\n  ssh root@host cui host connect\n")
    .action(async ({ socket }: { socket: string }) => {
      await relayToSocket(socket, { input: process.stdin, output: process.stdout });
    });
  configureCheck(command, context);
  configureHostInventory(command, context);
}

interface ServeOptions {
  readonly name: string;
  readonly socket: string;
  readonly directory: string;
  readonly runDirectory: string;
  readonly secretsDirectory: string;
  readonly bridge: string;
  readonly libvirt: string;
  readonly accelerator: Accelerator | "probe";
}

function configureServe(command: Command, context: CliContext): void {
  addParts(command.command("serve").description("run the host manager until it is told to end"))
    .option("--name <name>", "what this host is called", hostname())
    .addOption(
      new Option("--accelerator <which>", "kvm, tcg, or find out by booting something")
        .choices(["kvm", "tcg", "probe"])
        .default("probe"),
    )
    .addHelpText("after", "\nExample:\n  cui host serve --bridge br-int\n")
    .action(async (options: ServeOptions) => {
      const { accelerator, socket, name, bridge } = options;
      const daemon = await runHostDaemon({
        folders: options,
        ...{ socket, name, bridge },
        // What reads packs is in memory from the first image on, not while a host only waits.
        fetchImage: async (request) => {
          const [{ fetchImage }, { gitOf }] = await Promise.all([
            import("../../host/images/fetch-image.ts"),
            import("../git-of.ts"),
          ]);
          return fetchImage({ ...request, git: gitOf(context) });
        },
        libvirtUri: options.libvirt,
        accelerator:
          accelerator === "probe"
            ? await findAccelerator(acceleratorCache(cacheFolder(context.env)))
            : accelerator,
      });
      context.print(`host manager ${name} listens on ${socket}`);
      await untilTold();
      await daemon.close();
    });
}

function configureCheck(command: Command, context: CliContext): void {
  addParts(command.command("check").description("say what this machine lacks to be a host"))
    .option("--json", "print it as JSON")
    .addHelpText("after", "\nExample:\n  cui host check\n")
    .action(async (options: CheckOptions) => {
      const checks = await checkHost({
        ...{ libvirtUri: options.libvirt, bridge: options.bridge, socket: options.socket },
        ...{ directory: options.directory, runDirectory: options.runDirectory },
        ...{
          secretsDirectory: options.secretsDirectory,
          acceleratorCache: acceleratorCache(cacheFolder(context.env)),
        },
      });
      context.print(options.json === true ? JSON.stringify(checks) : checks.map(renderCheck).join("\n"));
      const lacking = checks.filter(({ result }) => result === "missing").map(({ name }) => name);
      if (lacking.length > 0)
        throw new CollectiveError("HOST_INCOMPLETE", `this host lacks: ${lacking.join(", ")}`);
    });
}

interface CheckOptions extends Omit<ServeOptions, "name" | "accelerator"> {
  readonly json?: true;
}

function addParts(command: Command): Command {
  return command
    .option("--socket <path>", "the host manager's socket", SOCKET)
    .option("--bridge <name>", "the Open vSwitch integration bridge", "br-int")
    .option("--directory <folder>", "where disks are kept", "/var/lib/collective")
    .option("--run-directory <folder>", "where machines' sockets are", "/run/collective")
    .option("--libvirt <uri>", "libvirt's address", "qemu:///system")
    .option("--secrets-directory <folder>", "a folder in memory, for parameters", SECRETS);
}

function renderCheck({ name, result, detail, hint }: HostCheck): string {
  const line = `${result.padEnd(8)} ${name.padEnd(22)} ${detail}`;
  return hint === undefined ? line : `${line}\n${" ".repeat(9)}hint: ${hint}`;
}

function untilTold(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const)
      process.once(signal, () => {
        resolve();
      });
  });
}
