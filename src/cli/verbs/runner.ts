/** `cui runner <site>`: the daemon that carries out what the protected branch of a site says. */
import path from "node:path";
import type { Command } from "commander";
import { visible } from "../../diagnostics.ts";
import { CollectiveError } from "../../errors.ts";
import { createLog } from "../../forge/runner/run-log.ts";
import { runRunner, siteUrlOf, workFolderName } from "../../forge/runner/run-runner.ts";
import { siteFolderOf } from "../../forge/site-source.ts";
import { connectHost } from "../../host/connect-host.ts";
import { openStateStore, stateDirectoryOf } from "../../manager/records/state-store.ts";
import { shareObjects } from "../../appliance/share-objects.ts";
import { loadMacKey } from "../../manager/change/sensitive.ts";
import type { CliContext } from "../context.ts";
import { gitOf } from "../git-of.ts";
import { createProgressView } from "../render-progress.ts";
import { parseSeconds } from "../seconds.ts";
import { isCommitId } from "../../git/commit-id.ts";
import { isRefusedUrl } from "../../git/url.ts";

interface Flags {
  readonly once?: boolean;
  readonly interval: string;
  readonly dir?: string;
  readonly folder: string;
  readonly branch?: string;
  readonly environment: string;
  readonly planApp: string;
  readonly acceptRewind?: string;
  readonly retry?: boolean;
  readonly timeout: string;
}

/** Beside the state. */
const WORK_FOLDERS = "runner";

export function configure(command: Command, context: CliContext): void {
  command
    .argument("<site>", "the site's repository: a URL, or a path (of a bare repository, say)")
    .option("--once", "look once and end; exit 1 when something was refused or failed")
    .option("--interval <seconds>", "how often to look", "60")
    .option("--dir <folder>", "work folder; default: one for the site in `runner` beside the state")
    .option("--folder <folder>", "the site's folder in its repository", ".")
    .option("--branch <name>", "the protected branch; default: rollout.branch of utility.yaml")
    .option("--environment <name>", "the environment of deployments on GitHub", "production")
    .option("--plan-app <slug>", "the app whose plans on GitHub are believed", "github-actions")
    .option("--accept-rewind <commit>", "the branch was rightly rewound or rewritten to this commit")
    .option("--retry", "roll the newest commit out again although it was refused or failed")
    .option("--timeout <seconds>", "how long a guest may take to become ready", "300")
    .addHelpText(
      "after",
      `
It takes no commands and opens no port: it fetches the protected branch, the plans (refs/collective/plans/*) and the approvals
(refs/collective/approvals/*), evaluates again, and carries out what was approved. Sensitive parameters come from its
environment, as for \`cui start\`. With GITHUB_TOKEN and a site on GitHub it reads pull requests and reports there.

Examples:
  cui runner https://github.com/acme/site
  cui runner /srv/git/site.git --once
`,
    )
    .action(async (site: string, flags: Flags) => {
      await watch(context, site, flags);
    });
}

async function watch(context: CliContext, site: string, flags: Flags): Promise<void> {
  const url = readUrl(site, context.cwd);
  const folder = readFolder(flags.folder);
  const { acceptRewind } = flags;
  if (acceptRewind !== undefined && !isCommitId(acceptRewind)) {
    throw new CollectiveError("USAGE", "--accept-rewind expects a whole commit id, 40 hex digits");
  }
  const intervalMs = parseSeconds("--interval", flags.interval, { least: 1 }) * 1000;
  const readyMs = parseSeconds("--timeout", flags.timeout, { least: 1 }) * 1000;
  const stateDirectory = stateDirectoryOf(context.env);
  const dir = path.resolve(
    context.cwd,
    flags.dir ?? path.join(path.dirname(stateDirectory), WORK_FOLDERS, workFolderName(url)),
  );
  // The runner's own push of a status ref starts the hooks of the repository it pushes to.
  if (context.env["CUI_RUNNER"] === dir) return;
  const git = gitOf(context);
  const stop = stopOnSignals(context);
  const progress = createProgressView({ ...context, isTerminal: false }, { quiet: false });
  try {
    const { outcome } = await runRunner({
      ...{ git, url, dir, folder, intervalMs, acceptRewind, branch: flags.branch },
      ...{ environment: flags.environment, planApp: flags.planApp, retry: flags.retry ?? false },
      store: await openStateStore(stateDirectory),
      connect: connectHost,
      shareObjects: (image) => shareObjects(git, image),
      loadMacKey: () => loadMacKey(stateDirectory),
      env: context.env,
      progress,
      limits: { readyMs },
      once: flags.once ?? false,
      signal: stop.signal,
      log: createLog((line) => {
        context.print(line);
      }),
    });
    if (flags.once === true && ["refused", "failed", "pending"].includes(outcome)) {
      throw new CollectiveError("ROLLOUT_FAILED", "not everything runs as the site says; see above", {
        hint: "`cui status` shows what runs; what was refused waits for another commit or approval",
      });
    }
  } finally {
    stop.dispose();
    await progress.close();
  }
}

/** The first signal lets what is being done come to its end, the second ends the process. */
function stopOnSignals(context: CliContext): { readonly signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(130);
    context.warn("stops when what is being done has ended");
    controller.abort();
  };
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
  return {
    signal: controller.signal,
    dispose: () => {
      process.off("SIGTERM", onSignal).off("SIGINT", onSignal);
    },
  };
}

function readUrl(site: string, cwd: string): string {
  const resolved = siteUrlOf(site, cwd);
  if (!isRefusedUrl(resolved)) return resolved.url;
  throw new CollectiveError("USAGE", resolved.message, { hint: resolved.hint });
}

function readFolder(site: string): string {
  const folder = siteFolderOf(site);
  if (folder !== undefined) return folder;
  const message = `expected the folder of the site in its repository, got "${visible(site)}"`;
  throw new CollectiveError("USAGE", message, {
    hint: "write it from the top of the repository: sites/acme",
  });
}
