// npm run quickstart: from nothing to a running, updated and stopped network of three virtual machines on two hosts.
// Everything it makes lies in one temporary folder and in network namespaces; both are gone afterwards, also when it is killed.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { debianPackages, install } from "../prerequisites.ts";
import type { StatusReport } from "../../src/manager/observe/network-status.ts";
import type { TimelineSummary } from "../../src/manager/change/timeline.ts";
import type { Answer } from "./ask.ts";
import { proveOnlyWebRestarted, requireBothHosts, showSummary, type Sighting } from "./proof.ts";
import {
  cui,
  indent,
  openSession,
  program,
  root,
  startLab,
  step,
  type ProgramOptions,
  type Session,
} from "./session.ts";

const APPLIANCES = ["Firewall", "Dns", "Web"];
const DOMAIN = "acme.example";
const NAME = `www.${DOMAIN}`;

let opened: Session | undefined;
let tidying: Promise<void> | undefined;

for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const) {
  process.once(signal, () => {
    console.error(`\n${signal}: cleaning up`);
    void tidyUp().then(() => process.exit(code));
  });
}

try {
  await main();
} catch (error) {
  if (tidying === undefined) console.error(`\nThe quickstart failed: ${messageOf(error)}`);
  process.exitCode = 1;
} finally {
  await tidyUp();
}

async function main(): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new Error("a lab of hypervisor hosts needs root: sudo npm run quickstart");
  const early: Pick<Session, "timings"> = { timings: [] };
  await step(early, "Look for what this machine lacks, and install it", installMissing);
  if (!process.argv.includes("--no-build")) await step(early, "Build cui", build);
  const session = await openSession();
  opened = session;
  await step(early, "Fetch the Debian packages the appliances are made of (kept for the next time)", () =>
    fetchPackages(session),
  );

  const startedAt = performance.now();
  await step(session, "Make three appliances: a firewall, a DNS server, a web server", () =>
    makeAppliances(session),
  );
  await step(session, "Publish them, the network Office made of them, and AcmeOffice derived from it", () =>
    publishAll(session),
  );
  await step(
    session,
    "Bring up a lab: two hypervisor hosts, a VLAN trunk between them, and the world outside",
    () => openLab(session),
  );
  const start = await step(session, "Start AcmeOffice", () => report(session, "start"));
  const before = await step(session, `Ask from outside for http://${NAME}/`, () => lookAndAsk(session));
  requireBothHosts(before);
  await step(session, "Publish version 2 of the web appliance", () => publishWeb2(session));
  await step(session, "Show what taking it would mean", () => showPlan(session));
  const update = await step(session, "Update", () => report(session, "update"));
  const after = await step(session, "Ask again", () => lookAndAsk(session));
  proveOnlyWebRestarted(before, after);
  await step(session, "Stop AcmeOffice", () => inSite(session, ["stop", "AcmeOffice.cvl"]));
  await step(session, "Take the lab down, remove every file", tidyUp);
  await showSummary({ session, start, update, before, after, totalMs: performance.now() - startedAt });
}

function installMissing(): void {
  const problem = install(debianPackages);
  if (problem !== undefined) throw new Error(problem);
  console.log("   every Debian and npm package is there");
}

function build(): void {
  const { status } = spawnSync(process.execPath, ["scripts/build.ts"], { cwd: root, stdio: "inherit" });
  if (status !== 0 || !existsSync(path.join(root, "dist/cui.js"))) throw new Error("the build failed");
}

async function fetchPackages(session: Session): Promise<void> {
  const script =
    'guest=$1; . "$guest/builder/packages.sh"; . "$guest/builder/kernel.sh"; use_kernel; ' +
    "package_tree busybox-static; package_trees nftables; package_trees dnsmasq-base; package_trees e2fsprogs";
  await program(session, "sh", ["-euc", script, "fetch", path.join(root, "templates/guest")]);
}

async function makeAppliances(session: Session): Promise<void> {
  await Promise.all(
    APPLIANCES.map(async (name) => {
      await cui(session, ["init", name.toLowerCase(), session.at(name)]);
      await program(session, "sh", ["build.sh"], { cwd: session.at(name) });
    }),
  );
}

async function publishAll(session: Session): Promise<void> {
  await Promise.all(APPLIANCES.map((name) => createAndPublish(session, name)));
  await cui(session, ["init", "network", session.at("Office")]);
  await createAndPublish(session, "Office");
  await cui(session, ["init", "site", session.at("AcmeOffice"), "--base", session.at("repositories/Office")]);
  const site = acmeOffice(session.at("repositories/Office"));
  await writeFile(session.at("AcmeOffice/AcmeOffice.cvl"), site);
  process.stdout.write(indent(site));
  await createAndPublish(session, "AcmeOffice");
}

async function createAndPublish(session: Session, name: string): Promise<void> {
  const repository = session.at("repositories", name);
  await cui(session, ["create", repository]);
  await cui(session, ["publish", repository, session.at(name, `${name}.cvl`)]);
}

function acmeOffice(office: string): string {
  return `CVL = "0.8";

import {
  url => ${JSON.stringify(office)},
  cvl => "Office.cvl"
} Office;

AcmeOffice extends Office {
  domain = "${DOMAIN}";
  motd = "Welcome to Acme";
}
`;
}

async function openLab(session: Session): Promise<void> {
  await startLab(session);
  await inSite(session, ["host", "add", "--lab", session.at("lab")]);
}

function inSite(
  session: Session,
  args: readonly string[],
  options?: Pick<ProgramOptions, "show">,
): Promise<string> {
  return cui(session, args, { cwd: session.at("AcmeOffice"), ...options });
}

/** Runs start or update, shows what each action took, returns the report. */
async function report(session: Session, verb: "start" | "update"): Promise<TimelineSummary> {
  const result = JSON.parse(await inSite(session, [verb, "AcmeOffice.cvl", "--json"])) as TimelineSummary;
  for (const { name, fromMs, toMs } of result.timings) {
    const seconds = (ms: number): string => (ms / 1000).toFixed(2).padStart(6);
    console.log(`     ${seconds(fromMs)} s to ${seconds(toMs)} s  ${name}`);
  }
  return result;
}

/** The network's status, and the answers from outside: the name from the DNS appliance, the page, everybody's uptime. */
async function lookAndAsk(session: Session): Promise<Sighting> {
  await inSite(session, ["status", "AcmeOffice.cvl"], { show: true });
  const { networks } = JSON.parse(
    await inSite(session, ["status", "AcmeOffice.cvl", "--json"]),
  ) as StatusReport;
  const [status] = networks;
  const firewall = status?.machines.find(({ component }) => component === "firewall");
  const gateway = firewall?.addresses.ethernet1;
  if (status === undefined || gateway === undefined) throw new Error("the firewall has no public address");
  const ask = [process.execPath, path.join(root, "scripts/quickstart/ask.ts"), gateway, NAME];
  const answer = JSON.parse(
    await cui(session, ["lab", "exec", "--dir", session.at("lab"), "outside", "--", ...ask]),
  ) as Answer;
  console.log(
    indent(`${NAME} is ${answer.address}, its page says:\n${answer.page.replace(/<[^>]+>/g, "").trim()}`),
  );
  return { status, answer };
}

async function publishWeb2(session: Session): Promise<void> {
  await writeFile(session.at("Web/VERSION"), "2\n");
  await program(session, "sh", ["build.sh"], { cwd: session.at("Web") });
  await cui(session, ["publish", session.at("repositories/Web"), session.at("Web/Web.cvl")]);
}

async function showPlan(session: Session): Promise<void> {
  await inSite(session, ["lock", "AcmeOffice.cvl"], { show: true });
  await inSite(session, ["plan", "AcmeOffice.cvl"], { show: true });
}

/** Ends everything once; later calls wait for the first. */
async function tidyUp(): Promise<void> {
  tidying ??= opened?.close();
  await tidying;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
