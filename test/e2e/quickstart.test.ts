/** The quickstart as a newcomer runs it. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import t from "tap";
import { awaitNoLeftovers, interfaceNames } from "./leftovers.ts";
import { runProgram } from "./programs.ts";
import { missingForEndToEnd } from "./requirements.ts";

const missing = missingForEndToEnd();
const QUICKSTART = path.join(process.cwd(), "scripts/quickstart/main.ts");

await t.test("the quickstart", { skip: missing ?? false, timeout: 4_000_000 }, async (t) => {
  const folder = await mkdtemp(path.join(os.tmpdir(), "cui-q-"));
  const summaryFolder = t.testdir();
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const interfaces = await interfaceNames();

  await t.test("starts, updates and stops the network, and leaves nothing", async (t) => {
    const summary = path.join(summaryFolder, "summary.json");
    const { code, stdout, stderr } = await runProgram(
      process.execPath,
      [QUICKSTART, "--no-build", "--summary", summary],
      {
        env: { TMPDIR: folder },
      },
    );
    t.equal(code, 0, `${stdout}\n${stderr}`);
    const { totalMs, ownMs } = JSON.parse(await readFile(summary, "utf8")) as {
      totalMs: number;
      ownMs: number;
    };
    t.comment(
      `in all ${Math.round(totalMs / 1000)} s, the manager's own share of the start ${Math.round(ownMs)} ms`,
    );
    t.match(stdout, /web: version 1 → 2, starts 1 → 2/);
    t.match(stdout, /firewall: up .* not restarted/);
    t.same(await readdir(folder), []);
    t.same(await awaitNoLeftovers(path.join(folder, "cui-quickstart-"), 150_000), []);
  });

  t.same(await interfaceNames(), interfaces, "the machine's interfaces are as they were");
});
