/** What cleans up after the tests, by itself: the run it guards was killed, as far as it can tell. */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import t from "tap";

t.test(
  "when its pipe closes, the run's processes end and its files go; others are left alone",
  { timeout: 60_000 },
  async (t) => {
    const folder = t.testdir({ run: { file: "" }, other: {}, report: "" });
    const [run, other, report] = ["run", "other", "report"].map((name) => path.join(folder, name));
    const sleeper = (CUI_TEST_RUN = "") =>
      spawn("sleep", ["60"], { env: { ...process.env, CUI_TEST_RUN }, stdio: "ignore", detached: true });
    const [ours, theirs] = [sleeper(run), sleeper(other)];
    t.teardown(() => theirs.kill("SIGKILL"));
    // Writes on, so that a folder removed too early would be there again.
    const loop = 'while :; do mkdir -p "$0" && date >"$0/late"; done';
    const writer = spawn("sh", ["-c", loop, path.join(run ?? "", "again")], {
      env: { ...process.env, CUI_TEST_RUN: run },
      stdio: "ignore",
    });
    for (const child of [ours, writer]) t.teardown(() => child.kill("SIGKILL"));
    const ended = [ours, writer].map(
      (child) =>
        new Promise((resolve) => {
          child.once("exit", (_, signal) => {
            resolve(signal);
          });
        }),
    );
    mkdirSync(path.join(run ?? "", "deep"));
    writeFileSync(path.join(run ?? "", "deep/file"), "x");

    const guard = spawn(
      process.execPath,
      ["scripts/guard.ts", "0", "CUI_TEST_RUN", run ?? "", report ?? ""],
      {
        stdio: ["pipe", "inherit", "inherit"],
        env: { ...process.env, CUI_TEST_RUN: other },
      },
    );
    const guarded = new Promise((resolve) => guard.once("exit", resolve));
    t.ok(existsSync(run ?? ""), "as long as the run is there nothing happens");
    guard.stdin.end();
    t.equal(await guarded, 0);
    t.same(await Promise.all(ended), ["SIGKILL", "SIGKILL"]);
    t.notOk(existsSync(run ?? ""));
    t.notOk(existsSync(report ?? ""));
    t.equal(theirs.exitCode ?? theirs.signalCode, null, "another run's process goes on");
  },
);

t.test("what ends by itself in its grace is not killed", async (t) => {
  const folder = t.testdir({ file: "" });
  const child = spawn("sh", ["-c", "sleep 1; exit 3"], { env: { ...process.env, CUI_QUICKSTART: folder } });
  const exit = new Promise((resolve) => child.once("exit", resolve));
  const guard = spawn(process.execPath, ["scripts/guard.ts", "600000", "CUI_QUICKSTART", folder]);
  const guarded = new Promise((resolve) => guard.once("exit", resolve));
  guard.stdin.end();
  t.equal(await guarded, 0);
  t.equal(await exit, 3);
  t.notOk(existsSync(folder));
});
