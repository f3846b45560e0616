/** `cui hook`: what git's hooks call, and `cui hook install`, which puts them in place. */
import path from "node:path";
import type { Command } from "commander";
import { CollectiveError, messageOf } from "../../errors.ts";
import { asFileError } from "../../file-errors.ts";
import { runKeptHook } from "../../hooks/kept-hook.ts";
import { renderHookDiagnostics, type HookDiagnostic } from "../../hooks/hook-diagnostic.ts";
import type { RefUpdate } from "../../hooks/ref-updates.ts";
import type { Git } from "../../git/git.ts";
import type { CliContext } from "../context.ts";
import { gitOf } from "../git-of.ts";
import { readStandardInput } from "../standard-input.ts";

interface HookOptions {
  /** The hook that was there before. */
  readonly kept?: string;
}

export function configure(command: Command, context: CliContext): void {
  command.addHelpText(
    "after",
    "\nExample:\n  git clone https://git.example.org/DNS && cd DNS && cui hook install\n",
  );
  configureInstall(command, context);
  configurePreCommit(command, context);
  configurePrePush(command, context);
  configurePreReceive(command, context);
  configurePostReceive(command, context);
}

function hookCommand(command: Command, name: string, summary: string): Command {
  return command
    .command(name)
    .description(`${summary} (git calls it)`)
    .argument("[argument...]", "what git gives the hook")
    .option("--kept <file>", "the hook that was there before, which runs as well");
}

function configureInstall(command: Command, context: CliContext): void {
  command
    .command("install")
    .description("install the hooks of a clone, or of a bare repository that is pushed to")
    .option("--dir <folder>", "the repository (default: the one around the working folder)", ".")
    .addHelpText("after", "\nExample:\n  cui hook install --dir /srv/appliances/DNS\n")
    .action(async ({ dir }: { dir: string }) => {
      const { setUpRepository } = await import("../../setup/set-up-repository.ts");
      if (context.program === undefined) throw new Error("this process is no program that hooks could call");
      const { folder, names, kept } = await setUpRepository(
        gitOf(context).at(path.resolve(context.cwd, dir)),
        context.program,
      );
      context.print(`Installed ${names.join(" and ")} in ${folder}.`);
      for (const name of kept) context.print(`The hook ${name} that was there is kept, and runs as well.`);
    });
}

/** The hook that was there first: what it changes is checked as well. */
function configurePreCommit(command: Command, context: CliContext): void {
  hookCommand(command, "pre-commit", "store changed disks, format and check what is staged").action(
    async (args: string[], { kept }: HookOptions) => {
      const { prepareCommit } = await import("../../hooks/pre-commit.ts");
      await runKeptHook({ file: kept, cwd: context.cwd, args });
      const onDone = (line: string): void => {
        context.warn(line);
      };
      judge("commit", await prepareCommit(gitOf(context), { onDone }), context);
    },
  );
}

/** The rules first, which are cheap; then the hook that was there, and git-lfs, which uploads. */
function configurePrePush(command: Command, context: CliContext): void {
  hookCommand(command, "pre-push", "check the versions that are about to be pushed").action(
    async (args: string[], { kept }: HookOptions) => {
      const { checkOutgoing } = await import("../../hooks/pre-push.ts");
      const { uploadObjects } = await import("../../hooks/upload-objects.ts");
      const { parsePushed } = await import("../../hooks/ref-updates.ts");
      const input = await readStandardInput();
      const git = gitOf(context);
      const [, url = ""] = args;
      const checked = await checkOutgoing(git, { url, updates: updatesOf(parsePushed(input)) });
      judge("push", checked, context);
      await runKeptHook({ file: kept, cwd: git.folder, args, input });
      await uploadObjects({ kept, git, args, input });
    },
  );
}

function configurePreReceive(command: Command, context: CliContext): void {
  hookCommand(command, "pre-receive", "check what is pushed to this repository").action(
    async (_args: string[], { kept }: HookOptions) => {
      const { checkPush } = await import("../../hooks/pre-receive.ts");
      const { parseReceived } = await import("../../hooks/ref-updates.ts");
      const input = await readStandardInput();
      const checked = await orRefusal("push", () =>
        checkPush(receivingGit(context), { updates: updatesOf(parseReceived(input)) }),
      );
      judge("push", checked, context);
      await runKeptHook({ file: kept, cwd: context.cwd, args: [], input });
    },
  );
}

/** The push is done: whatever fails here is told, and is no failure of the push. */
function configurePostReceive(command: Command, context: CliContext): void {
  hookCommand(command, "post-receive", "start the rollout a site asks for").action(
    async (_args: string[], { kept }: HookOptions) => {
      const { decideRollout, startRollout } = await import("../../hooks/post-receive.ts");
      const { parseReceived } = await import("../../hooks/ref-updates.ts");
      const input = await readStandardInput();
      try {
        await runKeptHook({ file: kept, cwd: context.cwd, args: [], input });
      } catch (error) {
        context.warn(`warning: ${messageOf(error)}`);
      }
      try {
        const decision = await decideRollout(receivingGit(context), updatesOf(parseReceived(input)));
        if (decision === undefined || context.program === undefined) return;
        const log = await startRollout(gitOf(context), context.program);
        context.warn(`Rolling out ${decision.branch} at ${decision.commit.slice(0, 12)}; see ${log}`);
      } catch (error) {
        const message = messageOf(error);
        context.warn(`warning: the rollout was not started: ${message}`);
        context.warn(`  hint: start it by hand: cui runner ${context.cwd} --once`);
      }
    },
  );
}

/** The repository that git runs a hook of a push for. */
function receivingGit(context: CliContext): Git {
  const folder = path.resolve(context.cwd, context.env["GIT_DIR"] ?? ".");
  return gitOf(context).bare(folder);
}

/** @throws CollectiveError USAGE when standard input held something else. */
function updatesOf(updates: readonly RefUpdate[] | undefined): readonly RefUpdate[] {
  if (updates !== undefined) return updates;
  throw new CollectiveError("USAGE", "standard input is not what git tells this hook", {
    hint: "git runs hooks by itself; `cui hook install` puts them in place",
  });
}

/** A defect of ours must not let anything pass, and its stack is nothing for whoever pushes. */
async function orRefusal<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CollectiveError) throw error;
    const told = asFileError(error);
    if (told !== undefined) throw told;
    const message = messageOf(error);
    throw new CollectiveError("HOOK_REFUSED", `the ${what} could not be checked: ${message}`, {
      cause: error,
      hint: "ask who keeps the repository; this may be a defect of cui",
    });
  }
}

/** Prints what could not be looked at; throws when something must be refused. */
function judge(what: string, diagnostics: readonly HookDiagnostic[], context: CliContext): void {
  const warnings = diagnostics.filter(({ severity }) => severity === "warning");
  const errors = diagnostics.filter(({ severity }) => severity === "error");
  for (const line of renderHookDiagnostics(warnings)) context.warn(`warning: ${line.trimStart()}`);
  if (errors.length === 0) return;
  const lines = [`the ${what} is refused, nothing was changed:`, ...renderHookDiagnostics(errors)];
  const codes = errors.map(({ where, code }) => ({ where, code }));
  throw new CollectiveError("HOOK_REFUSED", lines.join("\n"), { data: { refused: codes } });
}
