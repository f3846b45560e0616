/** Plays a sequence in a world made new for it, and looks for what must not be. */
import { cp } from "node:fs/promises";
import { existsSync } from "node:fs";
import type { StatusReport } from "../../src/manager/observe/network-status.ts";
import { happen, type Scene, type Undo } from "./accidents.ts";
import {
  enter,
  forgottenDisks,
  lostDisks,
  networksOf,
  sharedThings,
  untrueStatus,
  type Ledger,
} from "./oracle.ts";
import { consoles, dataDisks, portTags, realMachines } from "./real-side.ts";
import { runCui, runStep, siteOf } from "./run-command.ts";
import { describeStep, type Sequence } from "./sequence.ts";
import { NETWORKS, type World } from "./world.ts";

export interface Played {
  readonly problems: readonly string[];
  /** What happened, a line each. */
  readonly log: readonly string[];
}

/** A start of a command that was killed may still be under way on its host. */
const LOOKS = 20;

interface Pending {
  steps: number;
  readonly undo: NonNullable<Undo>;
}

export async function play(world: World, sequence: Sequence): Promise<Played> {
  const problems: string[] = [];
  const log: string[] = [];
  const ledger: Ledger = new Map();
  const scene: Scene = { world, copies: [], count: 0 };
  const pending: Pending[] = [];
  await world.reset();
  for (const step of sequence.steps) {
    if (existsSync(world.state)) await keepCopy(scene);
    log.push(describeStep(step));
    if (step.kind === "command") {
      for (const { command, code, signal, ms, stderr, problems: found } of await runStep(
        world,
        step,
        sequence.sites,
      )) {
        log.push(`  ${command}: ${code ?? signal} in ${ms} ms${code === 1 ? `: ${stderr.trim()}` : ""}`);
        problems.push(...found);
      }
    } else {
      const undo = await happen(scene, step);
      if (undo !== undefined) pending.push({ steps: step.steps + 1, undo });
    }
    enter(ledger, await consoles(world));
    for (const each of pending) each.steps -= 1;
    // What happened later is undone first: a folder comes back before the disk that was taken out of it.
    while ((pending.at(-1)?.steps ?? 1) <= 0) await pending.pop()?.undo();
    problems.push(...(await lookAtMachines(world)));
  }
  for (const { undo } of pending.reverse()) await undo();
  for (const host of world.hosts) {
    await host.ensure("libvirtd");
    await host.ensure("manager");
  }
  problems.push(...(await checkStatus(world, sequence)));
  problems.push(...(await goOn(world, sequence, log)));
  problems.push(...(await checkStatus(world, sequence)), ...(await lookAtMachines(world)));
  enter(ledger, await consoles(world));
  for (const host of world.hosts)
    for (const name of await host.running()) await host.virsh("destroy", name).catch(() => undefined);
  problems.push(...lostDisks(ledger, await dataDisks(world)));
  if (!isStateTouched(sequence) && !isRemoved(sequence)) problems.push(...forgottenDisks(ledger));
  return { problems: [...new Set(problems)], log };
}

/** What a backup has: the state as it is now and then. */
async function keepCopy(scene: Scene): Promise<void> {
  const copy = `${scene.world.aside}/copy${scene.count++}.git`;
  await cp(scene.world.state, copy, { recursive: true }).catch(() => undefined);
  scene.copies.push(copy);
}

/** Libvirt may be down between the steps: then there is nobody to ask. What is just being started gets a second look. */
async function lookAtMachines(world: World): Promise<string[]> {
  for (let look = 1; ; look++) {
    const services = await Promise.all(world.hosts.map((host) => host.pids("libvirtd")));
    if (services.some((pids) => pids.length === 0)) return [];
    const tags = await Promise.all(
      world.hosts.map(async (host) => [host.lab.name, await portTags(host)] as const),
    );
    const problems = sharedThings(await realMachines(world), new Map(tags));
    if (problems.length === 0 || look === LOOKS) return problems;
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

async function checkStatus(world: World, { sites }: Sequence): Promise<string[]> {
  const problems: string[] = [];
  const machines = await realMachines(world);
  for (const network of sites === 2 ? NETWORKS : [NETWORKS[0]]) {
    const { cwd, state } = siteOf(world, network, sites);
    const result = await runCui(world, { args: ["status", "--json"], cwd, state });
    problems.push(...result.problems);
    if (result.code !== 0) {
      problems.push(`status does not answer in the end: ${result.stderr}`);
      continue;
    }
    const own = await networksOf(cwd, ...(cwd === world.site ? [world.copiedSite] : []));
    problems.push(...untrueStatus(JSON.parse(result.stdout) as StatusReport, machines, (id) => own.has(id)));
  }
  return problems;
}

const BLOCKED = /FILE_LOCK_HELD|REPOSITORY_LOCKED|UTILITY_NETWORK_BUSY/;

/** Nothing is in the way: plans are made and, where the state is the right one, what is asked for starts. */
async function goOn(world: World, sequence: Sequence, log: string[]): Promise<string[]> {
  const problems: string[] = [];
  for (const network of NETWORKS) {
    const { cwd, state } = siteOf(world, network, sequence.sites);
    for (const verb of sequence.startsInTheEnd ? ["plan", "start"] : ["plan"]) {
      const result = await runCui(world, { args: [verb, `${network}.cvl`], cwd, state });
      log.push(
        `in the end ${result.command}: ${result.code ?? result.signal}${result.code === 1 ? `: ${result.stderr.trim()}` : ""}`,
      );
      problems.push(...result.problems);
      if (BLOCKED.test(result.stderr)) problems.push(`${result.command} is blocked: ${result.stderr}`);
      else if (result.code !== 0 && !isStateTouched(sequence))
        problems.push(`${result.command} does not work in the end: ${result.stderr}`);
    }
  }
  return problems;
}

/** With another state than the right one what was known may be known no more, until a person sees to it. */
function isStateTouched({ steps }: Sequence): boolean {
  return steps.some(({ kind }) => kind.startsWith("state-"));
}

function isRemoved({ steps }: Sequence): boolean {
  return steps.some(
    (step) => step.kind === "command" && (step.verb === "remove" || step.twin?.verb === "remove"),
  );
}

/** Leaves out steps as long as the sequence still has a problem; at most `tries` plays. */
export async function shorten(
  world: World,
  sequence: Sequence,
  tries: number,
): Promise<{ readonly sequence: Sequence; readonly played: Played | undefined }> {
  let [shortest, played]: [Sequence, Played | undefined] = [sequence, undefined];
  for (let at = sequence.steps.length - 1, left = tries; at >= 0 && left > 0; at--, left--) {
    const candidate = { ...shortest, steps: shortest.steps.filter((_, index) => index !== at) };
    const found = await play(world, candidate);
    if (found.problems.length > 0) [shortest, played] = [candidate, found];
  }
  return { sequence: shortest, played };
}
