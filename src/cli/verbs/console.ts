/** `cui console <cvl> <component>`: the serial console of a machine. */
import type { Command } from "commander";
import { attachConsole } from "../../host/console.ts";
import { parseHostAddress } from "../../host/host-address.ts";
import { runInherited } from "../../io.ts";
import { findConsole } from "../../manager/observe/find-console.ts";
import type { CliContext, VerbContext } from "../context.ts";
import { nameNetwork, openManager } from "../manager.ts";

interface Flags {
  readonly object?: string;
  readonly socket?: string;
}

export function configure(command: Command, context: VerbContext): void {
  command
    .argument("[cvl]", "the root file")
    .argument("[component]", "the machine; for a root machine none")
    .option("--object <name>", "the root object, where the file has several")
    .option("--socket <path>", "attach to this console socket of the machine cui runs on")
    .addHelpText("after", "\nCtrl-] ends it.\n\nExample:\n  cui console acme.cvl w\n")
    .action(async (cvl: string | undefined, component: string | undefined, flags: Flags) => {
      if (flags.socket !== undefined) await attach(flags.socket, context);
      else if (cvl === undefined) command.error("error: missing required argument 'cvl'");
      else await open(context, { cvl, component: component ?? "", flags });
    });
}

async function open(
  context: VerbContext,
  { cvl, component, flags }: { cvl: string; component: string; flags: Flags },
): Promise<void> {
  const manager = await openManager(context);
  const { networkId, file } = nameNetwork(manager, { cwd: context.cwd, cvl, object: flags.object });
  const found = await findConsole({
    ...manager,
    inventory: manager.site.inventory,
    networkId,
    file,
    component,
  });
  const target = parseHostAddress(found.address);
  if (target.kind === "unix") {
    await attach(found.path, context);
    return;
  }
  const port = target.port === undefined ? [] : ["-p", String(target.port)];
  const user = target.user === undefined ? [] : ["-l", target.user];
  const remote = `cui console --socket '${found.path.replaceAll("'", "'\\''")}'`;
  const args = ["-t", ...port, ...user, "--", target.host, remote];
  context.exitWith(await runInherited({ file: "ssh", args }));
}

async function attach(socket: string, context: CliContext): Promise<void> {
  const how = await attachConsole(socket, { input: process.stdin, output: process.stdout });
  context.warn(how === "detached" ? "detached" : "the machine ended");
}
