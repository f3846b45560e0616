/** The network of the quickstart, made for a test: three appliances, Office, a site, a lab; all in one temporary folder. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import { existsSync } from "node:fs";
import path from "node:path";
import { shareUsersCache } from "../../scripts/users-cache.ts";
import { labExec } from "../host/fixtures/lab-exec.ts";
import { CuiFailure, runProgram, type Outcome } from "./programs.ts";

export const REPOSITORY_ROOT = process.cwd();
const CUI = path.join(REPOSITORY_ROOT, "dist/cui.js");

export interface Office {
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Path of dist/cui.js. */
  readonly cuiProgram: string;
  readonly at: (...parts: string[]) => string;
  /** Runs `cui` in the site; throws CuiFailure when it does not end with 0. */
  readonly cui: (...args: string[]) => Promise<string>;
  /** Runs `cui` in the site and tells how it ended. */
  tryCui(args: readonly string[], options?: { env?: Record<string, string>; cwd?: string }): Promise<Outcome>;
  /** Runs a program on a host of the lab or in its `outside`; resolves to its output. */
  exec(place: string, file: string, ...args: string[]): Promise<string>;
  build(name: string): Promise<void>;
  publish(name: string): Promise<void>;
  close(): Promise<void>;
}

/** Makes everything but the lab; `openLab` adds it. */
export async function createOffice(): Promise<Office> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "cui-e2e-"));
  const environment = {
    XDG_CACHE_HOME: path.join(folder, "cache"),
    CUI_STATE: path.join(folder, "state.git"),
    GIT_CONFIG_GLOBAL: "/dev/null",
    CI: "true",
    // The command starts hundreds of times.
    NODE_COMPILE_CACHE: path.join(folder, "compiled"),
  };
  await shareUsersCache(environment.XDG_CACHE_HOME);
  const watchdog = startWatchdog(folder);
  const at = (...parts: string[]): string => path.join(folder, ...parts);
  const tryCui: Office["tryCui"] = (args, { env = {}, cwd = at("AcmeOffice") } = {}) =>
    runProgram(process.execPath, [CUI, ...args], { cwd, env: { ...environment, ...env } });
  const cui = async (...args: string[]): Promise<string> => {
    const outcome = await tryCui(args);
    if (outcome.code !== 0) throw new CuiFailure(args, outcome);
    return outcome.stdout;
  };
  const office: Office = {
    folder,
    environment,
    cuiProgram: CUI,
    at,
    cui,
    tryCui,
    exec: (place, file, ...args) => labExec({ directory: at("lab"), place }, { file, args }),
    build: async (name) => {
      const outcome = await runProgram("sh", ["build.sh"], { cwd: at(name), env: environment });
      if (outcome.code !== 0) throw new CuiFailure(["build.sh", name], outcome);
    },
    publish: async (name) => {
      await cui("publish", at("repositories", name), at(name, `${name}.cvl`));
    },
    close: async () => {
      if (existsSync(at("lab"))) await cui("lab", "down", "--yes", "--dir", at("lab"));
      await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 });
      watchdog.stdin?.end();
    },
  };
  await mkdir(at("AcmeOffice"));
  return office;
}

/** Firewall, Dns, Web and Office, published, and a site deriving from Office. */
export async function publishOffice(office: Office): Promise<void> {
  const { at, cui } = office;
  await rm(at("AcmeOffice"), { recursive: true });
  await mkdir(at("AcmeOffice"));
  await Promise.all(
    ["Firewall", "Dns", "Web"].map(async (name) => {
      await cui("init", name.toLowerCase(), at(name));
      await office.build(name);
      await cui("create", at("repositories", name));
      await office.publish(name);
    }),
  );
  await cui("init", "network", at("Office"));
  await cui("create", at("repositories/Office"));
  await office.publish("Office");
  await cui("init", "site", at("AcmeOffice"), "--base", at("repositories/Office"));
}

/** A lab of two hosts that ends with this process, added to the site's inventory. */
export async function openLab(office: Office): Promise<void> {
  const directory = office.at("lab");
  await office.cui("lab", "up", "--hosts", "2", "--dir", directory, "--owner", String(process.pid));
  await office.cui("host", "add", "--lab", directory);
}

/** Writes the site's root file: AcmeOffice derived from Office, with these values. */
export async function writeSite(
  office: Office,
  values: { domain: string; motd?: string; sensitive?: string },
): Promise<void> {
  const lines = [
    'CVL = "0.8";',
    `import { url => "${office.at("repositories/Office")}", cvl => "Office.cvl" } Office;`,
    "AcmeOffice extends Office {",
    ...(values.sensitive === undefined ? [] : [`  var "sensitive" ${values.sensitive};`]),
    `  domain = "${values.domain}";`,
    ...(values.motd === undefined ? [] : [`  motd = "${values.motd}";`]),
    "}",
  ];
  const formatted = office.at("AcmeOffice/AcmeOffice.cvl");
  await writeFile(formatted, `${lines.join("\n")}\n`);
  await office.cui("fmt", formatted);
}

/** Removes the folder when this process is killed: its end of the pipe closes. */
function startWatchdog(folder: string): ChildProcess {
  // As long as the lab that ends with this process, too, still writes there.
  const script =
    'cat >/dev/null; n=0; while [ $n -lt 600 ]; do rm -rf -- "$1" 2>/dev/null && exit; sleep 0.5; n=$((n + 1)); done';
  const watchdog = spawn("sh", ["-c", script, "watchdog", folder], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  watchdog.stdin.on("error", () => undefined);
  watchdog.unref();
  return watchdog;
}
