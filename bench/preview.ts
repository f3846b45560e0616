/**
 * Previews a change of a site of 500 virtual machines over 50 git repositories, warm mirrors, as a whole process: evaluation of
 * both sides, fetch of every remote, picture and comment. `npm run bench:preview [-- machines repositories]`. Prints seconds,
 * peak memory and the comment's length, for one network and for one network a repository, over paths and over HTTP.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { openGit } from "../src/git/git.ts";
import { run } from "../src/io.ts";
import { renderPreviewComment } from "../src/forge/preview-comment.ts";
import { serveRepositories } from "../src/serve/server.ts";
import { previewSite } from "../src/preview/preview-site.ts";
import { makeLargeSite, type LargeSite } from "../test/manager/large-site.ts";

const ROUNDS = 3;

/** Runs a program; its output, then the processor seconds of all its processes. */
const TIMER = `
import resource, subprocess, sys
sys.stdout.write(subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, text=True, check=True).stdout)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(usage.ru_utime + usage.ru_stime)
`;

if (process.argv[2] === "--preview") await previewOnce(JSON.parse(process.argv[3] ?? "{}") as LargeSite);
else await main();

async function main(): Promise<void> {
  const [machines = 500, repositories = 50] = process.argv.slice(2).map(Number);
  const top = await mkdtemp(path.join(tmpdir(), "bench-preview-"));
  try {
    for (const networks of ["one", "many"] as const) {
      for (const over of ["paths", "http"] as const) {
        const folder = path.join(top, `${networks}-${over}`);
        await mkdir(folder);
        const server = over === "http" ? await serve(folder) : undefined;
        const remote = server === undefined ? {} : { remoteUrl: server.url };
        const site = await makeLargeSite(folder, { machines, repositories, networks, ...remote });
        await measure(`${networks} network${networks === "many" ? "s" : ""}, ${over}`, site);
        await server?.close();
      }
    }
  } finally {
    await rm(top, { recursive: true, force: true });
  }
}

/** As `cui serve` does, in this process. */
function serve(folder: string): ReturnType<typeof serveRepositories> {
  return serveRepositories({ folder, host: "127.0.0.1", port: 0, isWritable: false, log: () => undefined });
}

async function measure(name: string, site: LargeSite): Promise<void> {
  const seconds: number[] = [];
  const processor: number[] = [];
  let last = { comment: 0, memoryMiB: 0, actions: 0 };
  for (let round = 0; round <= ROUNDS; round += 1) {
    const startedAt = performance.now();
    const output = await run({
      file: "python3",
      args: ["-c", TIMER, process.execPath, process.argv[1] ?? "", "--preview", JSON.stringify(site)],
    });
    const [result = "", used] = output.split("\n");
    const elapsed = (performance.now() - startedAt) / 1000;
    if (round > 0) {
      seconds.push(elapsed);
      processor.push(Number(used));
    } else console.log(`${name}: cold ${elapsed.toFixed(2)} s`);
    last = JSON.parse(result) as typeof last;
  }
  const median = medianOf(seconds);
  console.log(
    `${name}: warm ${median.toFixed(2)} s (median of ${ROUNDS}; ${medianOf(processor).toFixed(2)} s of processors), ${last.memoryMiB} MiB, ${last.actions} actions, comment ${last.comment} characters`,
  );
}

function medianOf(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? 0;
}

async function previewOnce(site: LargeSite): Promise<void> {
  const { folder, base, head, cache } = site;
  const { networks, policyChanges } = await previewSite({
    git: openGit({ folder, env: process.env }),
    base,
    head,
    cache,
  });
  const comment = renderPreviewComment({ networks, base, head, policyChanges, wholePlan: "the artifact" });
  const actions = networks.reduce((sum, { plan }) => sum + (plan?.actions.length ?? Number.NaN), 0);
  const memoryMiB = Math.round(process.resourceUsage().maxRSS / 1024);
  console.log(JSON.stringify({ comment: comment.length, memoryMiB, actions }));
}
