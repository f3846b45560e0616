/**
 * Surroundings of the test in which nobody types `cui`: a base appliance, a network of appliances that pins it, and a site,
 * each a bare repository served over HTTP and reachable by its path; people with stock git and git-lfs; jobs that run `cui`.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { createOffice, openLab, type Office } from "./office.ts";
import { CuiFailure, runProgram, type Outcome } from "./programs.ts";

export interface Chain {
  readonly office: Office;
  /** Where `cui serve` listens. */
  readonly url: string;
  /** Runs stock git as a person does; throws with its output when it fails. */
  readonly git: (folder: string, ...args: string[]) => Promise<string>;
  readonly tryGit: (folder: string, ...args: string[]) => Promise<Outcome>;
  /** A line of a job's script. */
  readonly job: (folder: string, ...args: string[]) => Promise<string>;
  close(): Promise<void>;
}

export async function createChain(): Promise<Chain> {
  const office = await createOffice();
  const { at } = office;
  await mkdir(at("bin"));
  await writeFile(at("bin/cui"), `#!/bin/sh\nexec '${process.execPath}' '${office.cuiProgram}' "$@"\n`);
  await chmod(at("bin/cui"), 0o755);
  const environment = {
    ...office.environment,
    PATH: `${at("bin")}:${process.env["PATH"] ?? ""}`,
    GIT_CONFIG_GLOBAL: at("gitconfig"),
    GIT_TERMINAL_PROMPT: "0",
  };
  const tryGit: Chain["tryGit"] = (folder, ...args) =>
    runProgram("git", args, { cwd: folder, env: environment });
  const git: Chain["git"] = async (folder, ...args) => {
    const outcome = await tryGit(folder, ...args);
    if (outcome.code !== 0) throw new CuiFailure(["(git)", ...args], outcome);
    return outcome.stdout;
  };
  await writeFile(at("gitconfig"), "[user]\n\tname = A Person\n\temail = person@example.org\n");
  await git(office.folder, "lfs", "install", "--skip-repo");
  const server = await startServer(office, environment);
  const chain: Chain = {
    office,
    url: server.url,
    git,
    tryGit,
    job: async (folder, ...args) => {
      const outcome = await runProgram(at("bin/cui"), args, { cwd: folder, env: environment });
      if (outcome.code !== 0) throw new CuiFailure(args, outcome);
      return outcome.stdout;
    },
    close: async () => {
      server.process.kill("SIGTERM");
      await server.ended; // it writes into the folder
      await office.close();
    },
  };
  await git(office.folder, "config", "--global", "credential.helper", `store --file=${at("credentials")}`);
  return chain;
}

/** `cui serve` over all repositories, writable with a token made now. */
async function startServer(
  office: Office,
  env: Readonly<Record<string, string>>,
): Promise<{ process: ChildProcess; ended: Promise<unknown>; url: string }> {
  const { at } = office;
  await mkdir(at("repositories"));
  const added = await runProgram(
    at("bin/cui"),
    ["serve", "token", "add", "publisher", "--rights", "write", "--tokens", at("tokens.yaml")],
    { env },
  );
  const token = added.stdout.trim();
  const server = spawn(
    at("bin/cui"),
    ["serve", at("repositories"), "--listen", "127.0.0.1:0", "--writable", "--tokens", at("tokens.yaml")],
    { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] },
  );
  const ended = new Promise((resolve) => server.once("exit", resolve));
  const url = await new Promise<string>((resolve, reject) => {
    let output = "";
    const read = (data: Buffer): void => {
      output += data.toString();
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(output)?.[0];
      if (found !== undefined) resolve(found);
    };
    server.stdout.on("data", read);
    server.stderr.on("data", read);
    server.once("exit", () => {
      reject(new Error(`cui serve ended: ${output}`));
    });
  });
  const { host } = new URL(url);
  await writeFile(at("credentials"), `http://publisher:${token}@${host}\n`, { mode: 0o600 });
  return { process: server, ended, url };
}

/** Firewall, Dns, Web and the network Office, v1 each, pushed with git; Office pins Web. */
export async function publishChain(chain: Chain): Promise<void> {
  const { office, git } = chain;
  const { at } = office;
  await Promise.all(
    ["Firewall", "Dns", "Web"].map(async (name) => {
      await office.cui("init", name.toLowerCase(), at(name));
      await office.build(name);
      await pushFirst(chain, name);
    }),
  );
  await office.cui("init", "network", at("Office"));
  const file = at("Office/Office.cvl");
  const text = await readFile(file, "utf8");
  await writeFile(file, text.replace('cvl => "Web.cvl"', 'cvl => "Web.cvl",\n  version => "1"'));
  await writeFile(at("Office/bump.yaml"), "format: 1\nautomerge: replace\n");
  await git(at("Office"), "remote", "add", "origin", `${chain.url}/Office`);
  await office.tryCui(["lock"], { cwd: at("Office") });
  await pushFirst(chain, "Office");
}

async function pushFirst({ office, git, url, tryGit }: Chain, name: string): Promise<void> {
  const folder = office.at(name);
  await office.cui("create", office.at("repositories", name));
  if ((await tryGit(folder, "remote", "get-url", "origin")).code !== 0)
    await git(folder, "remote", "add", "origin", `${url}/${name}`);
  await git(folder, "add", "--all");
  await git(folder, "commit", "-qm", `${name}: the first version`);
  await git(folder, "tag", "v1");
  await git(folder, "push", "-q");
}

/** A lab of two hosts, and a site whose repository rolls out what is merged; nothing runs yet. */
export async function createSite(chain: Chain): Promise<void> {
  const { office, git, url } = chain;
  const { at } = office;
  await office.cui("init", "site", at("AcmeOffice"), "--base", `${url}/Office`);
  await openLab(office);
  const inventory = await readFile(at("AcmeOffice/utility.yaml"), "utf8");
  await writeFile(at("AcmeOffice/utility.yaml"), `${inventory}\nrollout: { on: merge }\n`);
  await office.cui("create", at("repositories/acme"));
  await git(at("AcmeOffice"), "remote", "add", "origin", `${url}/acme`);
}
