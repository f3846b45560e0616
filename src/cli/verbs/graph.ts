/** `cui graph <cvl>`: a network as a picture, on its own or with what a change would do to it. */
import { type Command, Option } from "commander";
import { visible } from "../../diagnostics.ts";
import { CollectiveError } from "../../errors.ts";
import type { NetworkDescription } from "../../network/description.ts";
import { diffNetworks } from "../../plan/diff-networks.ts";
import type { Plan } from "../../plan/plan.ts";
import { renderDot } from "../../plan/render-dot.ts";
import { renderMermaid } from "../../plan/render-mermaid.ts";
import { renderSvg } from "../../plan/render-svg.ts";
import { describeNetwork } from "../../site/describe-network.ts";
import { withMirrors } from "../../appliance/mirrors.ts";
import type { CliContext } from "../context.ts";
import { printDiagnostics } from "../cvl-program.ts";
import { gitOf } from "../git-of.ts";

interface GraphOptions {
  readonly format: "mermaid" | "svg" | "dot";
  readonly object?: string;
  readonly rev?: string;
  readonly since?: string;
}

export function configure(command: Command, context: CliContext): void {
  command
    .argument("<cvl>", "the root file")
    .addOption(
      new Option("--format <format>", "the language of the drawing")
        .choices(["mermaid", "svg", "dot"])
        .default("mermaid"),
    )
    .option("--object <name>", "the root object, where the file has several")
    .option("--rev <rev>", "draw the file of this commit; without it, of the working tree")
    .option("--since <rev>", "mark what happens to each machine on the way from this commit")
    .addHelpText("after", "\nExample:\n  cui graph office.cvl --format svg > office.svg\n")
    .action((cvl: string, options: GraphOptions) => graph(context, cvl, options));
}

async function graph(context: CliContext, file: string, options: GraphOptions): Promise<void> {
  const network = await describe(context, file, options.rev, options.object);
  const plan =
    options.since === undefined
      ? undefined
      : diffNetworks(await describe(context, file, options.since, options.object), network);
  context.print((await render(network, plan, options.format)).trimEnd());
}

function render(
  network: NetworkDescription,
  plan: Plan | undefined,
  format: GraphOptions["format"],
): Promise<string> {
  if (format === "svg") return renderSvg(network, plan);
  return Promise.resolve(format === "dot" ? renderDot(network, plan) : renderMermaid(network, plan));
}

async function describe(
  context: CliContext,
  file: string,
  rev: string | undefined,
  object: string | undefined,
): Promise<NetworkDescription> {
  const { network, loaded, diagnostics } = await withMirrors(gitOf(context), (mirrors) =>
    describeNetwork({
      mirrors,
      file,
      cwd: context.cwd,
      versions: "locked",
      writeLock: false,
      ...(rev === undefined ? {} : { rev }),
      ...(object === undefined ? {} : { object }),
    }),
  );
  printDiagnostics(diagnostics, loaded.textOf, context);
  if (network !== undefined) return network;
  throw new CollectiveError("INVALID_INPUT", `${visible(file)} cannot be drawn: there are errors`);
}
