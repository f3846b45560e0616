/** The Renovate preset with the real Renovate: what it finds, what it writes, and that cui takes it. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import t from "tap";
import { loadAppliance } from "../../src/appliance/load.ts";
import { moveLock } from "../../src/appliance/move-lock.ts";
import { serveRepositories } from "../../src/serve/server.ts";
import { git, makeVersions, scratch, writeFiles, gitAt } from "../git/git-fixture.ts";

const VERSION = "41.173.1";
const USERS_CACHE = path.join(process.env["XDG_CACHE_HOME"] ?? path.join(homedir(), ".cache"), "cui");
const INSTALLED = path.join(USERS_CACHE, `renovate-${VERSION}`);
const PRESET = path.resolve("templates/renovate/renovate.json");
const run = promisify(execFile);

/** Installs Renovate once a user, without the scripts of its packages; why it cannot be, or undefined. */
async function install(): Promise<string | undefined> {
  if (existsSync(path.join(INSTALLED, "node_modules/renovate/dist/renovate.js"))) return undefined;
  for (const name of existsSync(USERS_CACHE) ? readdirSync(USERS_CACHE) : []) {
    const pid = /^renovate-.*\.pid(\d+)$/.exec(name)?.[1]; // of one that was killed
    if (pid !== undefined && !existsSync(`/proc/${pid}`))
      rmSync(path.join(USERS_CACHE, name), { recursive: true, force: true });
  }
  const unfinished = `${INSTALLED}.pid${process.pid}`;
  mkdirSync(unfinished, { recursive: true });
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--omit=optional", "--fetch-retries=1"];
  try {
    await run("npm", ["install", "--prefix", unfinished, ...flags, `renovate@${VERSION}`], { timeout: 1_200_000 });
    if (!existsSync(INSTALLED)) renameSync(unfinished, INSTALLED);
    return undefined;
  } catch (error) {
    return `Renovate ${VERSION} cannot be installed here: ${String(error).split("\n")[0] ?? ""}`;
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

interface Dependency {
  readonly packageName: string;
  readonly currentValue: string;
  readonly updates: readonly { readonly newValue: string; readonly newDigest?: string; readonly updateType: string }[];
}

interface PackageFile {
  readonly packageFile: string;
  readonly deps: readonly Dependency[];
}

/** What Renovate finds in a folder, by package file. */
async function lookUp(folder: string, scratchFolder: string): Promise<readonly PackageFile[]> {
  const { stdout } = await run(
    process.execPath,
    [path.join(INSTALLED, "node_modules/renovate/dist/renovate.js"), "--platform=local"],
    { cwd: folder, env: environment(scratchFolder), timeout: 1_200_000, maxBuffer: 64 * 1024 * 1024 },
  );
  const lines = stdout.split("\n").filter((line) => line.startsWith("{"));
  const found = lines
    .map((line) => JSON.parse(line) as { msg: string; config?: { regex?: readonly PackageFile[] } })
    .find(({ msg }) => msg === "packageFiles with updates");
  if (found?.config?.regex === undefined) throw new Error(`Renovate found nothing:\n${stdout.slice(-4000)}`);
  return found.config.regex;
}

function environment(scratchFolder: string): Record<string, string | undefined> {
  return {
    PATH: process.env["PATH"],
    HOME: scratchFolder,
    LOG_LEVEL: "debug",
    LOG_FORMAT: "json",
    RENOVATE_BASE_DIR: path.join(scratchFolder, "renovate"),
    RENOVATE_X_SKIP_RELEASE_NOTES: "true",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_COUNT: "1",
    GIT_CONFIG_KEY_0: "protocol.file.allow",
    GIT_CONFIG_VALUE_0: "always",
    // Nothing of this test may leave the machine.
    HTTP_PROXY: "http://127.0.0.1:9",
    HTTPS_PROXY: "http://127.0.0.1:9",
    NO_PROXY: "127.0.0.1,localhost",
  };
}

/** Renovate's own code that edits a file, told what its look-up found. */
const REPLACE = `
const [root, folder, file, upgradeJson] = process.argv.slice(1);
const at = (name) => require(root + "/node_modules/renovate/dist/" + name);
const { GlobalConfig } = at("config/global.js");
const { doAutoReplace } = at("workers/repository/update/branch/auto-replace.js");
const { readFileSync } = require("node:fs");
GlobalConfig.set({ localDir: folder });
const upgrade = JSON.parse(upgradeJson);
doAutoReplace(upgrade, readFileSync(folder + "/" + file, "utf8"), false).then((text) => {
  process.stdout.write("RESULT" + JSON.stringify(text));
}, (error) => { process.stderr.write(String(error.stack)); process.exitCode = 1; });
`;

async function replace(folder: string, scratchFolder: string, file: PackageFile, depIndex: number): Promise<string> {
  const dep = file.deps[depIndex]!;
  const manager = preset().customManagers[file.packageFile.endsWith(".lock") ? 0 : 1];
  const upgrade = { ...manager, ...dep, ...dep.updates[0], depIndex, manager: "regex", packageFile: file.packageFile };
  const args = ["--eval", REPLACE, INSTALLED, folder, file.packageFile, JSON.stringify(upgrade)];
  const { stdout } = await run(process.execPath, args, { env: environment(scratchFolder), timeout: 600_000 });
  return JSON.parse(stdout.slice(stdout.indexOf("RESULT") + "RESULT".length)) as string;
}

function preset(): { customManagers: readonly object[]; packageRules: unknown[] } {
  return JSON.parse(readFileSync(PRESET, "utf8")) as ReturnType<typeof preset>;
}

const machine = (name: string, note: string): Record<string, string> => ({
  [`${name}.cvl`]: `${name} extends VMAppliance { var title; vm = "a.vm.yaml"; } // ${note}\n`,
  "a.vm.yaml": "format: 1\nmemory: 64MiB\ndisks: []\n",
});

t.setTimeout(3_600_000);

/** Renovate ends with 1 under a Node its package does not name, whatever it finds. */
function refusesThisNode(): string | undefined {
  const text = readFileSync(path.join(INSTALLED, "node_modules/renovate/package.json"), "utf8");
  const { engines } = JSON.parse(text) as { engines: { node: string } };
  const majors = [...engines.node.matchAll(/\^(\d+)/g)].map(([, major]) => major);
  return majors.includes(process.version.slice(1).split(".")[0])
    ? undefined
    : `Renovate ${VERSION} wants Node ${engines.node}, and this is ${process.version}`;
}

const problem = (await install()) ?? refusesThisNode();
if (problem !== undefined) process.stdout.write(`# ${problem}\n`);

t.test("Renovate finds newer versions, and what it writes is good", { skip: problem ?? false }, async (t) => {
  const { folder: top, cache } = scratch(t);
  const served = path.join(top, "served");
  mkdirSync(served);
  for (const name of ["DNS", "Web", "Mail"]) {
    makeVersions(path.join(served, name), ["1", "2", "3"].map((note) => machine(name, note)));
  }
  // An annotated tag is an object of its own, and that is what Renovate sees of it.
  git(path.join(served, "Mail"), "tag", "--annotate", "--force", "--message", "notes", "v3", "v3");
  git(path.join(served, "DNS"), "tag", "nightly");
  const bare = path.join(top, "bare");
  git(top, "clone", "--quiet", "--bare", path.join(served, "DNS"), path.join(bare, "DNS"));
  const server = await serveRepositories({ folder: bare, host: "127.0.0.1", port: 0, log: () => undefined });
  t.teardown(() => server.close());
  const site = path.join(top, "site");
  const urls = { DNS: `${server.url}/DNS`, Web: `file://${served}/Web`, Mail: `file://${served}/Mail` };
  const cvl = `CVL = "0.8";
import { url => "${urls.DNS}", cvl => "DNS.cvl" } DNS; // version => "1"
import { version => "1" /* ours */, url => "${urls.Web}", cvl => "Web.cvl" } Web;
import { url => "${urls.Mail}", cvl => "Mail.cvl" } Mail;
Acme extends VANAppliance { DNS d; Web w; Mail m; m.title = "1"; }
`;
  const config = preset();
  config.packageRules.push({ matchPackageNames: [urls.DNS], allowedVersions: "!/^3$/" });
  writeFiles(site, { "Acme.cvl": cvl, "renovate.json": JSON.stringify(config) });
  git(site, "init", "--quiet", "--initial-branch=main", ".");
  await moveLock(gitAt(), { cwd: site, cache, files: ["Acme.cvl"], keepsOthers: false });
  const lockFile = path.join(site, "cvl.lock");
  const back = (name: string): string =>
    git(path.join(served, name), "rev-parse", "v1^{commit}", "v1^{tree}").split("\n").join(" ");
  let lock = readFileSync(lockFile, "utf8");
  for (const [name, url] of Object.entries(urls)) {
    const [commit = "", tree = ""] = back(name).split(" ");
    if (name === "Web") continue;
    lock = lock.replace(
      new RegExp(`(url: ${url}\\n +pin: "\\*"\\n +version:) 3\\n +commit: \\w+\\n +tree: \\w+`),
      `$1 1\n    commit: ${commit}\n    tree: ${tree}`,
    );
  }
  writeFileSync(lockFile, lock);
  git(site, "add", "--all");
  git(site, "commit", "--quiet", "--message", "site");

  const files = await lookUp(site, top);
  const summary = files.flatMap(({ packageFile, deps }) =>
    deps.map(({ packageName, currentValue, updates }) => [
      packageFile,
      path.basename(packageName),
      currentValue,
      ...updates.map(({ newValue }) => newValue),
    ]),
  );
  t.same(summary.sort(), [
    ["Acme.cvl", "Web", "1", "3"],
    ["cvl.lock", "DNS", "1", "2"],
    ["cvl.lock", "Mail", "1", "3"],
  ]);
  for (const file of files) {
    for (const index of file.deps.keys()) {
      const text = await replace(site, top, file, index);
      writeFileSync(path.join(site, file.packageFile), text);
    }
  }
  t.equal(readFileSync(path.join(site, "Acme.cvl"), "utf8"), cvl.replace('version => "1" /*', 'version => "3" /*'));
  const moved = readFileSync(lockFile, "utf8");
  t.match(moved, new RegExp(`DNS\\n    pin: "\\*"\\n    version: 2\\n    ref: ${git(path.join(served, "DNS"), "rev-parse", "v2")}`));

  const load = { file: "Acme.cvl", cwd: site, cache, versions: "locked", writeLock: false } as const;
  const loaded = await loadAppliance(gitAt(), load);
  t.same(loaded.diagnostics.filter(({ severity }) => severity === "error"), []);
  t.match(
    loaded.lock.imports.map(({ url, version, commit }) => [path.basename(url), version, commit]),
    [
      ["Mail", 3, git(path.join(served, "Mail"), "rev-parse", "v3^{commit}")],
      ["Web", 3, git(path.join(served, "Web"), "rev-parse", "v3")],
      ["DNS", 2, git(path.join(served, "DNS"), "rev-parse", "v2")],
    ],
  );
  await loadAppliance(gitAt(), { ...load, writeLock: true });
  t.notMatch(readFileSync(lockFile, "utf8"), /ref:/, "cui writes it out");

  writeFileSync(lockFile, moved);
  git(path.join(served, "Mail"), "tag", "--annotate", "--force", "--message", "other", "v3", "v3");
  const errors = (await loadAppliance(gitAt(), load)).diagnostics.filter(({ severity }) => severity === "error");
  t.match(errors, [{ code: "IMPORT_TAG_MOVED" }], "a ref holds the version fast");
});
