/** One clear error, and nothing was changed: neither the state nor any file of the hosts. */
import { cp, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Test } from "tap";
import type { Office } from "./office.ts";
import { runProgram } from "./programs.ts";

export interface Refusal {
  readonly name: string;
  /** The error code standard error must name. */
  readonly code: string | RegExp;
  readonly cvl?: (text: string) => string;
  readonly inventory?: (text: string) => string;
}

/**
 * Starts AcmeOffice in a copy of the site with the change; it must be refused. `known` is what the one before resolved to, when
 * nothing was done since.
 */
export async function refusesWithout(
  t: Test,
  office: Office,
  { name, code, cvl, inventory }: Refusal,
  known?: unknown,
): Promise<unknown> {
  let after: unknown;
  await t.test(name, async (t) => {
    const site = office.at("Refused");
    await rm(site, { recursive: true, force: true });
    await cp(office.at("AcmeOffice"), site, { recursive: true });
    await change(path.join(site, "AcmeOffice.cvl"), cvl, t);
    const ofThisSite = inventory && ((text: string) => withSiteOf(text, inventory(text)));
    await change(path.join(site, "utility.yaml"), ofThisSite, t);
    if (cvl !== undefined) await rm(path.join(site, "cvl.lock"), { force: true });
    const before = known ?? (await whatIsThere(office));
    const { code: status, stderr } = await office.tryCui(["start", "AcmeOffice.cvl"], { cwd: site });
    t.equal(status, 1, "it is refused");
    t.match(stderr, code);
    t.notMatch(stderr, /internal error|^ +at /m);
    const errors = [...stderr.matchAll(/\berror ([A-Z_]+):/g)].filter(
      ([, name]) => name !== "UTILITY_REFUSED",
    );
    t.equal(errors.length, 1, `one error: ${stderr}`);
    after = await whatIsThere(office);
    t.same(after, before, "state and hosts are as they were");
  });
  return after;
}

/** It stays the same site, whatever else its inventory says. */
function withSiteOf(before: string, after: string): string {
  const line = /^site: .*\n/m.exec(before)?.[0] ?? "";
  return after.includes(line) ? after : after.replace("format: 1\n", `format: 1\n${line}`);
}

async function change(file: string, edit: ((text: string) => string) | undefined, t: Test): Promise<void> {
  if (edit === undefined) return;
  const text = await readFile(file, "utf8");
  const changed = edit(text);
  t.not(changed, text, "the test changes something");
  await writeFile(file, changed);
}

/** The state's records and every domain, port and disk of the hosts. */
async function whatIsThere(office: Office): Promise<unknown> {
  const state = await runProgram("git", ["-C", office.at("state.git"), "ls-tree", "-r", "refs/heads/main"]);
  const disks = await runProgram("find", [
    office.at("lab"),
    "-type",
    "f",
    "(",
    "-name",
    "*.qcow2",
    "-o",
    "-name",
    "*.raw",
    "-o",
    "-name",
    "*.xml",
    ")",
  ]);
  const ports = await Promise.all(
    ["host1", "host2"].map((host) => office.exec(host, "ovs-vsctl", "list-ports", "br-int").catch(() => "")),
  );
  // A lease is counted up by every try: hosts remember the number.
  const records = state.stdout.split("\n").filter((line) => !/\blease/.test(line));
  return { state: records, disks: disks.stdout.split("\n").sort(), ports };
}
