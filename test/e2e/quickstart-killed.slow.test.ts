/** The quickstart, killed in the middle. */
import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import t from "tap";
import { awaitNoLeftovers, interfaceNames, leftovers } from "./leftovers.ts";
import { missingForEndToEnd } from "./requirements.ts";

const missing = missingForEndToEnd();
const QUICKSTART = path.join(process.cwd(), "scripts/quickstart/main.ts");
const options = { skip: missing ?? false, timeout: 4_000_000 };

await t.test("killed while machines run, the quickstart takes everything with it", options, async (t) => {
  const folder = await mkdtemp(path.join(os.tmpdir(), "cui-q-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const interfaces = await interfaceNames();
  const quickstart = spawn(process.execPath, [QUICKSTART, "--no-build"], {
    env: { ...process.env, TMPDIR: folder },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const killed = new Promise((resolve) => quickstart.once("exit", resolve));
  await new Promise<void>((resolve) => {
    let output = "";
    quickstart.stdout.on("data", (data: Buffer) => {
      output += data.toString();
      if (output.includes("Ask from outside")) resolve();
    });
    quickstart.once("exit", () => {
      resolve();
    });
  });
  const [made] = await readdir(folder);
  const own = path.join(folder, made ?? "");
  t.ok((await leftovers(own)).length > 5, "there is something to leave behind");
  quickstart.kill("SIGKILL");
  await killed;
  t.same(await awaitNoLeftovers(own, 300_000), []);
  t.same(await readdir(folder), []);
  t.same(await interfaceNames(), interfaces, "the machine's interfaces are as they were");
});
