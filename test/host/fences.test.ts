import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { test, type Test } from "tap";
import { createFenceCheck, type FenceCheck } from "../../src/host/fences.ts";

const OURS = "0123456789ab";
const THEIRS = "ba9876543210";

/** As after a restart of the host manager each time it is called. */
function host(t: Test): { readonly folder: string; readonly check: () => FenceCheck } {
  const directory = t.testdir({});
  const folders = { directory, runDirectory: directory, secretsDirectory: directory };
  return { folder: path.join(directory, "networks/office"), check: () => createFenceCheck(folders) };
}

test("a network of one site is refused to another, whatever its token", async (t) => {
  const { check, folder } = host(t);
  await check()({ networkId: "office", token: 1, site: OURS });
  for (const known of [check(), check()]) {
    const refusal = {
      code: "HOST_OTHER_SITE",
      message: new RegExp(`belongs to the site ${OURS}, not to ${THEIRS}`),
    };
    await t.rejects(known({ networkId: "office", token: 9, site: THEIRS }), refusal);
    await known({ networkId: "office", token: 1, site: OURS });
  }
  t.same(JSON.parse(readFileSync(path.join(folder, "fence.json"), "utf8")), {
    format: 1,
    token: 1,
    site: OURS,
  });
});

test("what was written before sites had ids belongs to the first that says its own", async (t) => {
  const { check, folder } = host(t);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, "fence.json"), '{"format":1,"token":3}');
  const known = check();
  await known({ networkId: "office", token: 3 });
  await known({ networkId: "office", token: 3, site: OURS });
  await known({ networkId: "office", token: 3 });
  await t.rejects(check()({ networkId: "office", token: 3, site: THEIRS }), { code: "HOST_OTHER_SITE" });
  await t.rejects(check()({ networkId: "office", token: 2, site: OURS }), {
    code: "HOST_FENCED",
    hint: /A lost state/,
  });
});

test("a full disk keeps no manager from a network that the host knows", { skip: notRoot() }, async (t) => {
  // Nobody else sees the mount, and it goes with the program.
  const script = 'mount -t tmpfs -o size=64k collective-test "$1" && exec "$2" "$3" "$1"';
  const fixture = path.join(import.meta.dirname, "fixtures/fence-on-full-disk.js");
  const args = ["--mount", "sh", "-c", script, "full-disk", t.testdir({}), process.execPath, fixture];
  const { stdout } = await promisify(execFile)("unshare", args);
  t.same(stdout.trim().split("\n"), [
    "full",
    '{"format":1,"token":100,"site":"0123456789ab"}',
    "token 99: HOST_FENCED",
    "a new network: HOST_DISK_FULL",
  ]);
});

function notRoot(): string | false {
  return process.getuid?.() === 0 ? false : "a file system is mounted";
}
