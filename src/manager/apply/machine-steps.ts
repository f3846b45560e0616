/**
 * What is done to one machine. Each step is journaled before and after it and can be repeated after a crash: every call to a
 * host is idempotent, and the labels of a domain tell which incarnation runs.
 */
import type { ComponentPath } from "../../cvl/tree.ts";
import { CollectiveError, messageOf } from "../../errors.ts";
import type { Host, MachineId } from "../../host/host.ts";
import { machineSpec, requireGoal, type MachineGoal, type Operation } from "../change/operation.ts";
import type { Incarnation, MachineRecord } from "../records/state.ts";
import { requireHost } from "../observe/observe-hosts.ts";
import { waitsForRoom } from "../observe/paused.ts";
import { machineName } from "../../network/paths.ts";

/** Starts a machine that does not serve; one that a manager before us started is waited for. */
export async function startMachine(
  operation: Operation,
  step: string,
  component: ComponentPath,
): Promise<void> {
  const goal = requireGoal(operation, component);
  const known = operation.observed.machines.get(component);
  const adopted = known?.state === "starting" && known.host === goal.host ? known.runs : null;
  const next = adopted !== null && isSame(adopted, goal.incarnation) ? adopted : goal.incarnation;
  const current = operation.records.get(component)?.current ?? null;
  const record: MachineRecord = { component, host: goal.host, phase: "starting", current, next };
  await begin(operation, step, record);
  const failure = (last: Incarnation | null): { step: string; record: MachineRecord } => {
    const known = { current: last, next: last === null ? next : null };
    return { step, record: { ...record, phase: "failed", ...known } };
  };
  if (next !== adopted) {
    // `current` stays until the disks are made: those that never were must not be missed later.
    await guarded(operation, failure(current), async () => {
      await stopLeftovers(operation, component);
      await prepareDisks(operation, goal.host, { incarnation: next, newDevices: goal.newDevices });
    });
  }
  await guarded(operation, failure(next), async () => {
    if (next !== adopted) await bringUp(operation, goal.host, next, goal.parameterLines);
    await awaitReady(operation, goal.host, component);
  });
  end(operation, step, { ...record, phase: "running", current: next, next: null });
}

/** Stops, takes the new disks, starts; what ran before comes back when the new does not become ready. */
export async function replaceMachine(
  operation: Operation,
  step: string,
  component: ComponentPath,
): Promise<void> {
  const goal = requireGoal(operation, component);
  const next = goal.incarnation;
  const current = goal.previous?.incarnation ?? operation.records.get(component)?.current ?? null;
  const record: MachineRecord = { component, host: goal.host, phase: "starting", current, next };
  await begin(operation, step, record);
  let last = current;
  try {
    await stopOn(operation, goal.host, component);
    await stopLeftovers(operation, component);
    await prepareDisks(operation, goal.host, { incarnation: next, newDevices: goal.newDevices });
    last = next;
    await bringUp(operation, goal.host, next, goal.parameterLines);
    await awaitReady(operation, goal.host, component);
  } catch (error) {
    if (isFatal(error)) throw error;
    await rollBack(operation, { step, record: { ...record, current: last }, goal, error });
  }
  end(operation, step, { ...record, phase: "running", current: next, next: null });
}

/** Lets a machine go on that stood still because its host's disk was full. */
export async function resumeMachine(
  operation: Operation,
  step: string,
  component: ComponentPath,
): Promise<void> {
  const goal = requireGoal(operation, component);
  const known = operation.records.get(component);
  await begin(operation, step, undefined);
  await guarded(operation, { step }, async () => {
    await resumeOn(operation, goal.host, component);
    await awaitReady(operation, goal.host, component);
  });
  end(operation, step, withDescription(known, goal));
}

/** The guest goes on running; one that does not confirm is a warning, for it may have no daemon that listens. */
export async function resendParameters(
  operation: Operation,
  step: string,
  component: ComponentPath,
): Promise<void> {
  const goal = requireGoal(operation, component);
  const known = operation.records.get(component);
  await begin(operation, step, undefined);
  await guarded(operation, { step }, async () => {
    const host = hostOf(operation, goal.host, component);
    const observed = operation.observed.machines.get(component);
    if (observed !== undefined && waitsForRoom(observed)) await resumeOn(operation, goal.host, component);
    const { reloaded } = await operation.timeline.waitForGuest(`reload ${component}`, () =>
      host.sendParameters(
        operation.fence,
        idOf(operation, component),
        goal.parameterLines,
        operation.limits.reloadMs,
      ),
    );
    if (!reloaded) {
      operation.warnings.push(
        `${machineName(component)} got its new parameters but did not confirm them (RELOADED=1)`,
      );
    }
  });
  end(operation, step, withDescription(known, goal));
}

/** Nothing happens to the machine: what the state says of it follows the CVL. */
export async function noteMachine(
  operation: Operation,
  step: string,
  component: ComponentPath,
): Promise<void> {
  const goal = operation.goals.get(component);
  const known = operation.records.get(component);
  if (goal === undefined || known === undefined) return;
  await write(operation, { step, event: "end" }, withDescription(known, goal));
}

export async function stopMachine(
  operation: Operation,
  step: string,
  component: ComponentPath,
): Promise<void> {
  const known = operation.records.get(component);
  await begin(operation, step, known === undefined ? undefined : { ...known, phase: "stopping" });
  await guarded(operation, { step }, async () => {
    if (known !== undefined) await stopOn(operation, known.host, component);
    await stopLeftovers(operation, component);
  });
  end(operation, step, known === undefined ? undefined : { ...withoutNext(known), phase: "stopped" });
}

/** Stops it, moves its data disks to the attic and forgets it. */
export async function removeMachine(
  operation: Operation,
  step: string,
  component: ComponentPath,
): Promise<void> {
  const known = operation.records.get(component);
  await begin(operation, step, known === undefined ? undefined : { ...known, phase: "stopping" });
  await guarded(operation, { step }, async () => {
    await stopLeftovers(operation, component);
    if (known === undefined) return;
    await stopOn(operation, known.host, component);
    await hostOf(operation, known.host, component).moveToAttic(operation.fence, idOf(operation, component));
  });
  operation.records.delete(component);
  const written = operation.journal.record({ step, event: "end", machine: { component, record: null } });
  written.catch(() => undefined);
  operation.writes.push(written);
}

async function prepareDisks(
  operation: Operation,
  hostName: string,
  wanted: { readonly incarnation: Incarnation; readonly newDevices: ReadonlySet<string> },
): Promise<void> {
  const { path, dataDisks } = wanted.incarnation.description;
  if (dataDisks.length === 0) return;
  const host = hostOf(operation, hostName, path);
  const disks = dataDisks.map((disk) => ({ ...disk, isNew: wanted.newDevices.has(disk.device) }));
  await operation.timeline.measure(`disks ${path}`, () =>
    host.prepareDataDisks(operation.fence, idOf(operation, path), disks),
  );
}

async function bringUp(
  operation: Operation,
  hostName: string,
  incarnation: Incarnation,
  lines: readonly string[],
): Promise<void> {
  const { path } = incarnation.description;
  const host = hostOf(operation, hostName, path);
  await operation.timeline.measure(`start ${path}`, () =>
    host.startMachine(operation.fence, machineSpec(operation, incarnation, lines)),
  );
}

async function resumeOn(operation: Operation, hostName: string, component: ComponentPath): Promise<void> {
  const host = hostOf(operation, hostName, component);
  await operation.timeline.measure(`resume ${component}`, () =>
    host.resumeMachine(operation.fence, idOf(operation, component)),
  );
}

async function awaitReady(operation: Operation, hostName: string, component: ComponentPath): Promise<void> {
  const host = hostOf(operation, hostName, component);
  const report = await operation.timeline.waitForGuest(`boot ${component}`, () =>
    host.awaitReady(idOf(operation, component), operation.limits.readyMs),
  );
  if (report.state === "ready") return;
  throw new CollectiveError(
    "UTILITY_GUEST_FAILED",
    `${machineName(component)} says it failed: ${report.status}`,
    {
      data: { component, status: report.status },
      hint: "look at its console with `cui console`; running the command again starts it anew",
    },
  );
}

/** A domain of this component that is not the one the step is about: on another host, or of an incarnation nobody knows. */
async function stopLeftovers(operation: Operation, component: ComponentPath): Promise<void> {
  const known = operation.observed.machines.get(component);
  const hosts = new Set(
    operation.observed.orphans
      .filter((orphan) => orphan.component === component)
      .map((orphan) => orphan.host),
  );
  if (known !== undefined && ["starting", "failed", "stopping"].includes(known.state)) hosts.add(known.host);
  await Promise.all([...hosts].map((host) => stopOn(operation, host, component)));
}

async function stopOn(operation: Operation, hostName: string, component: ComponentPath): Promise<void> {
  const host = hostOf(operation, hostName, component);
  const { forced } = await operation.timeline.waitForGuest(`shutdown ${component}`, () =>
    host.stopMachine(operation.fence, idOf(operation, component), operation.limits.stopMs),
  );
  if (forced) {
    operation.warnings.push(
      `${machineName(component)} did not shut down within ${operation.limits.stopMs / 1000} s and was destroyed`,
    );
  }
}

/** Rolls a failed replacement back: the previous incarnation again, on the same data disk. Always throws, saying what runs now. */
async function rollBack(
  operation: Operation,
  options: { step: string; record: MachineRecord; goal: MachineGoal; error: unknown },
): Promise<never> {
  const { step, record, goal, error } = options;
  const { component } = record;
  const message = messageOf(error);
  const { previous } = goal;
  if (previous === undefined) {
    await failed(operation, step, message, { ...withoutNext(record), phase: "failed" });
    throw error;
  }
  try {
    await stopOn(operation, goal.host, component);
    await prepareDisks(operation, goal.host, { ...previous, newDevices: new Set() });
    await bringUp(operation, goal.host, previous.incarnation, previous.parameterLines);
    await awaitReady(operation, goal.host, component);
  } catch (second) {
    if (isFatal(second)) throw second;
    await failed(operation, step, message, {
      ...record,
      phase: "failed",
      current: previous.incarnation,
      next: null,
    });
    throw notRolledBack(component, message, second);
  }
  await failed(operation, step, message, {
    ...record,
    phase: "running",
    current: previous.incarnation,
    next: null,
  });
  throw rolledBack(component, previous.incarnation, error);
}

function rolledBack(component: ComponentPath, previous: Incarnation, cause: unknown): CollectiveError {
  return new CollectiveError(
    "UTILITY_UPDATE_ROLLED_BACK",
    `the update of ${machineName(component)} failed and ${versionOf(previous)} runs again, on the data disk as the new version left it: ${messageOf(cause)}`,
    { cause, data: { component }, hint: "look at the new version's console output before trying again" },
  );
}

function notRolledBack(component: ComponentPath, message: string, second: unknown): CollectiveError {
  return new CollectiveError(
    "UTILITY_GUEST_FAILED",
    `the update of ${machineName(component)} failed (${message}), and what ran before did not come back either: ${messageOf(second)}`,
    { cause: second, data: { component }, hint: "running the command again goes on from here" },
  );
}

async function begin(operation: Operation, step: string, record: MachineRecord | undefined): Promise<void> {
  await write(operation, { step, event: "begin" }, record);
}

/** Not waited for: what comes next goes into the same commit. Whoever runs the operation waits for `writes`. */
function end(operation: Operation, step: string, record: MachineRecord | undefined): void {
  const written = write(operation, { step, event: "end" }, record);
  written.catch(() => undefined); // seen when `writes` is waited for
  operation.writes.push(written);
}

async function failed(
  operation: Operation,
  step: string,
  detail: string,
  record: MachineRecord | undefined,
): Promise<void> {
  await write(operation, { step, event: "failed", detail }, record);
}

async function write(
  operation: Operation,
  entry: { step: string; event: "begin" | "end" | "failed"; detail?: string },
  record: MachineRecord | undefined,
): Promise<void> {
  if (record !== undefined) operation.records.set(record.component, record);
  await operation.journal.record({
    ...entry,
    ...(record === undefined ? {} : { machine: { component: record.component, record } }),
  });
}

/** Journals a failure of `work`, with what then is true of the machine, and passes it on. */
async function guarded(
  operation: Operation,
  failure: { step: string; record?: MachineRecord },
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isFatal(error)) await failed(operation, failure.step, messageOf(error), failure.record);
    throw error;
  }
}

/** Somebody else works on the network now: nothing more may be done or written. */
function isFatal(error: unknown): boolean {
  return error instanceof CollectiveError && ["UTILITY_LEASE_LOST", "HOST_FENCED"].includes(error.code);
}

/** Of a machine whose first start did not end, `next` is all that is known: without it a removal would leave its data disks. */
function withoutNext(record: MachineRecord): MachineRecord {
  return record.current === null ? record : { ...record, next: null };
}

function withDescription(known: MachineRecord | undefined, goal: MachineGoal): MachineRecord | undefined {
  if (known?.current == null) return known;
  const { description, sensitive } = goal.incarnation;
  return { ...known, current: { plan: known.current.plan, description, sensitive } };
}

function isSame(a: Incarnation, b: Incarnation): boolean {
  return (
    JSON.stringify(a.description) === JSON.stringify(b.description) &&
    JSON.stringify(a.sensitive) === JSON.stringify(b.sensitive)
  );
}

function hostOf(operation: Operation, name: string, component: ComponentPath): Host {
  return requireHost(operation.observedHosts, name, `${machineName(component)} belongs on ${name}`);
}

function idOf(operation: Operation, component: ComponentPath): MachineId {
  return { networkId: operation.fence.networkId, component };
}

function versionOf({ description }: Incarnation): string {
  const { version } = description.image.source;
  return version === null ? "the previous version" : `v${version}`;
}
