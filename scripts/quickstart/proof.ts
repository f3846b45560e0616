// What the quickstart claims, checked on what it saw.
import { writeFile } from "node:fs/promises";
import type { NetworkStatus } from "../../src/manager/observe/network-status.ts";
import type { TimelineSummary } from "../../src/manager/change/timeline.ts";
import type { Answer } from "./ask.ts";
import type { Session } from "./session.ts";

/** The network at one moment, as `cui status` and as the world outside see it. */
export interface Sighting {
  readonly status: NetworkStatus;
  readonly answer: Answer;
}

/** What the summary is made of. */
export interface Results {
  readonly session: Session;
  readonly start: TimelineSummary;
  readonly update: TimelineSummary;
  readonly before: Sighting;
  readonly after: Sighting;
  readonly totalMs: number;
}

/** Throws unless the three machines run on two hosts. */
export function requireBothHosts({ status }: Sighting): void {
  const hosts = new Map(status.machines.map(({ component, host }) => [component, host]));
  console.log(`   placed: ${[...hosts].map(([component, host]) => `${component} on ${host}`).join(", ")}`);
  if (new Set(hosts.values()).size < 2) throw new Error("the machines are not spread over both hosts");
}

/** Throws unless the web machine alone restarted, shows its new version, and its counter went on. */
export function proveOnlyWebRestarted(before: Sighting, after: Sighting): void {
  const [old, now] = [readPage(before), readPage(after)];
  console.log(`   web: version ${old.version} → ${now.version}, starts ${old.starts} → ${now.starts}`);
  if (old.version !== "1" || now.version !== "2") throw new Error("the page does not name the new version");
  if (now.starts !== old.starts + 1) throw new Error("the counter on the data disk did not go on");
  for (const machine of ["firewall", "dns"] as const) {
    const [earlier, later] = [before.answer.uptimes[machine], after.answer.uptimes[machine]];
    console.log(`   ${machine}: up ${earlier} s, later ${later} s: not restarted`);
    if (!(later > earlier)) throw new Error(`${machine} was restarted`);
  }
}

/** The steps with their times, the manager's own share, and with `--summary <file>` all of it as JSON. */
export async function showSummary({
  session,
  start,
  update,
  before,
  after,
  totalMs,
}: Results): Promise<void> {
  console.log("\n── Summary");
  for (const { title, seconds } of session.timings)
    console.log(`   ${seconds.toFixed(1).padStart(6)} s  ${title}`);
  console.log(
    `   ${(totalMs / 1000).toFixed(1).padStart(6)} s  in all, after installation (asked: under 180 s)`,
  );
  const own = start.ownMs / 1000;
  console.log(`\n   The manager's own share of the start: ${own.toFixed(2)} s for three machines`);
  console.log("   (asked: under 2 s; the system of the paper took 66 s for six).");
  const at = process.argv.indexOf("--summary");
  if (at === -1) return;
  const file = process.argv[at + 1];
  if (file === undefined) throw new Error("--summary expects the name of a file");
  await writeFile(
    file,
    JSON.stringify({
      totalMs,
      ownMs: start.ownMs,
      timings: session.timings,
      start,
      update,
      before,
      after,
    }),
  );
}

function readPage({ answer }: Sighting): { version: string; starts: number } {
  return { version: textOf(answer.page, "version"), starts: Number(textOf(answer.page, "starts")) };
}

/** `none`, which is no number, where the page does not say. */
function textOf(page: string, id: string): string {
  return new RegExp(`id="${id}">([^<]*)<`).exec(page)?.[1]?.trim() ?? "none";
}
