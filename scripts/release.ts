// Makes a release of the actions: a commit on top of HEAD that holds the bundles main never has, the tag v1.2.3 on it, and the
// moving tag v1. No branch changes, and nothing of the working tree or its index.
//   node scripts/release.ts v1.2.3 [--push] [--no-build]
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

const [version = "", ...flags] = process.argv.slice(2);
const isVersion = /^v(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)$/.test(version);
const unknown = flags.filter((flag) => flag !== "--push" && flag !== "--no-build");
if (!isVersion || unknown.length > 0) fail("usage: node scripts/release.ts v1.2.3 [--push] [--no-build]");
const moving = version.slice(0, version.indexOf("."));

if (git(["tag", "--list", version]) !== "") fail(`${version} is there already: a release is never moved`);
if (git(["status", "--porcelain", "--untracked-files=no"]) !== "")
  fail("commit first: the working tree differs from HEAD");
if (!flags.includes("--no-build")) {
  const { status } = spawnSync(process.execPath, ["scripts/build.ts", "--actions-only"], {
    stdio: "inherit",
  });
  if (status !== 0) fail("the bundles could not be built");
}

const bundles = git(["ls-files", "--others", "--ignored", "--exclude-standard", "--", "actions"])
  .split("\n")
  .filter((file) => /^actions\/(?:[a-z]+\/)?dist\/index\.mjs$/.test(file));
if (!bundles.includes("actions/dist/index.mjs") || !existsSync("action.yml"))
  fail("there are no bundles in actions/*/dist");

const folder = mkdtempSync(path.join(tmpdir(), "collective-release-"));
try {
  const env = { GIT_INDEX_FILE: path.join(folder, "index") };
  git(["read-tree", "HEAD"], env);
  git(["add", "--force", "--", ...bundles], env);
  const tree = git(["write-tree"], env);
  const commit = git(["commit-tree", tree, "-p", "HEAD", "-m", `Release ${version}: the bundled actions`]);
  git(["tag", version, commit]);
  git(["tag", "--force", moving, commit]);
  if (flags.includes("--push")) {
    // The version as it is, or nothing; the moving tag only together with it.
    git(["push", "--atomic", "origin", `refs/tags/${version}`, `+refs/tags/${moving}`]);
  }
  console.log(`${version} and ${moving} are ${commit}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function git(args: readonly [verb: string, ...rest: string[]], env: NodeJS.ProcessEnv = {}): string {
  const result = spawnSync("git", args, { encoding: "utf8", env: { ...process.env, ...env } });
  if (result.status !== 0) fail(`git ${args[0]}: ${result.stderr.trim()}`);
  return result.stdout.trim();
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}
