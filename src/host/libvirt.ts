/** libvirt through virsh: commands are data, names and files are ours, XML goes in as a file. */
import { CollectiveError } from "../errors.ts";
import { run, stderrOf } from "../io.ts";
import type { PauseReason } from "./host.ts";

export interface Libvirt {
  /** Makes the definition in `xmlFile` known, or replaces it. */
  define(xmlFile: string): Promise<void>;
  start(name: string): Promise<void>;
  /** Presses the power button (ACPI). */
  shutdown(name: string): Promise<void>;
  destroy(name: string): Promise<void>;
  /** Forgets a definition, its UEFI variables too; no-op when there is none. */
  undefine(name: string): Promise<void>;
  /** Tells a running machine that a disk is larger. */
  resizeDisk(name: string, file: string, sizeBytes: number): Promise<void>;
  /** True when the QEMU guest agent answers. */
  pingAgent(name: string): Promise<boolean>;
  /** Lets a paused domain go on. */
  resume(name: string): Promise<void>;
  /** Undefined: no such domain. */
  state(name: string): Promise<DomainState | undefined>;
  condition(name: string): Promise<DomainCondition | undefined>;
  /** By name, of all domains there are. */
  conditions(): Promise<ReadonlyMap<string, DomainCondition>>;
  /** The definitions of these domains, those that are gone meanwhile left out. */
  definitions(names: readonly string[]): Promise<readonly string[]>;
  /** The target, `vdb`, of each file that a running machine has as a disk. */
  diskTargets(name: string): Promise<ReadonlyMap<string, string>>;
  /** Begins the backup job that `xmlFile` describes; one at a time for a machine. */
  beginBackup(name: string, xmlFile: string): Promise<void>;
  /** The backup job that goes on, as XML; undefined when there is none. */
  readBackup(name: string): Promise<string | undefined>;
  /** No-op when no job goes on. */
  endBackup(name: string): Promise<void>;
  version(): Promise<string>;
  /** As whom QEMU runs; undefined where libvirt does not say. */
  qemuUser(): Promise<QemuUser | undefined>;
}

export interface QemuUser {
  readonly uid: number;
  readonly gid: number;
}

export type DomainState = "running" | "paused" | "stopping" | "stopped";

export interface DomainCondition {
  readonly state: DomainState;
  /** Of one that is paused. */
  readonly pausedBecause?: PauseReason;
}

const VIRSH_TIMEOUT_MS = 300_000;
const MAX_TRIES = 4;

/** `uri` is what `virsh -c` takes: `qemu:///system`. */
export function openLibvirt(uri: string): Libvirt {
  const virsh = (args: readonly string[]): Promise<string> => runVirsh(uri, args);
  const act = async (args: readonly string[]): Promise<void> => {
    await virsh(args);
  };
  return {
    define: (xmlFile) => act(["define", "--validate", "--", xmlFile]),
    start: (name) => act(["start", "--", name]),
    shutdown: (name) => ignoreStopped(act(["shutdown", "--mode", "acpi", "--", name])),
    destroy: (name) => ignoreStopped(act(["destroy", "--", name])),
    undefine: (name) => ignoreStopped(act(["undefine", "--nvram", "--", name])),
    resizeDisk: (name, file, sizeBytes) => act(["blockresize", "--", name, file, `${sizeBytes}B`]),
    pingAgent: (name) => pingAgent(virsh, name),
    resume: (name) => act(["resume", "--", name]),
    state: async (name) => (await readConditions(virsh)).get(name)?.state,
    condition: async (name) => (await readConditions(virsh)).get(name),
    conditions: () => readConditions(virsh),
    definitions: (names) => readDefinitions(virsh, names),
    diskTargets: async (name) => readDiskTargets(await virsh(["domblklist", "--details", "--", name])),
    beginBackup: (name, xmlFile) => act(["backup-begin", "--", name, xmlFile]),
    readBackup: (name) => unlessNoBackup(virsh(["backup-dumpxml", "--", name])),
    endBackup: async (name) => {
      await unlessNoBackup(virsh(["domjobabort", "--", name]));
    },
    qemuUser: async () => readQemuUser(await virsh(["capabilities"])),
    version: async () => /Running hypervisor: (.*)/.exec(await virsh(["version"]))?.[1] ?? "unknown",
  };
}

type Virsh = (args: readonly string[]) => Promise<string>;

async function runVirsh(uri: string, args: readonly string[], tries = MAX_TRIES): Promise<string> {
  try {
    return await run({
      file: "virsh",
      args: ["--quiet", "-c", uri, ...args],
      env: { LC_ALL: "C" },
      timeoutMs: VIRSH_TIMEOUT_MS,
    });
  } catch (error) {
    // Nothing was done: another call, or an event of QEMU's, had the domain for the half minute that libvirt waits.
    if (tries > 1 && /cannot acquire state change lock/.test(stderrOf(error)))
      return runVirsh(uri, args, tries - 1);
    throw asLibvirtError(error, uri);
  }
}

function asLibvirtError(error: unknown, uri: string): unknown {
  if (!(error instanceof CollectiveError)) return error;
  const text = stderrOf(error);
  const isDown =
    error.code === "PROCESS_TIMED_OUT" ||
    /failed to connect to the hypervisor|Failed to connect socket|client socket is closed/.test(text);
  if (!isDown) return error;
  return new CollectiveError("HOST_LIBVIRT_DOWN", `libvirt does not answer at ${uri}`, {
    cause: error,
    hint: "start it (systemctl start libvirtd); running machines are not touched",
  });
}

/** A domain that ended, or was undefined, in between is what the caller wanted. */
async function ignoreStopped(result: Promise<void>): Promise<void> {
  try {
    await result;
  } catch (error) {
    if (!/domain is not running|failed to get domain|Domain not found/.test(stderrOf(error))) throw error;
  }
}

/** Nor is there one where the machine has ended. */
async function unlessNoBackup(result: Promise<string>): Promise<string | undefined> {
  try {
    return await result;
  } catch (error) {
    const text = stderrOf(error);
    if (/job id not found|no job is active|domain is not running|failed to get domain/i.test(text))
      return undefined;
    throw error;
  }
}

/** Lines of type, device, target and source. */
function readDiskTargets(text: string): ReadonlyMap<string, string> {
  const rows = [...text.matchAll(/^\s*file\s+\S+\s+(\S+)\s+(\S.*?)\s*$/gm)];
  return new Map(rows.map(([, target = "", file = ""]) => [file, target]));
}

async function pingAgent(virsh: Virsh, name: string): Promise<boolean> {
  try {
    await virsh(["qemu-agent-command", "--timeout", "2", "--", name, '{"execute":"guest-ping"}']);
    return true;
  } catch (error) {
    if (error instanceof CollectiveError && error.code === "PROCESS_FAILED") return false;
    throw error;
  }
}

/** `--raw` gives numbers, which are the same in every language and release. */
async function readConditions(virsh: Virsh): Promise<ReadonlyMap<string, DomainCondition>> {
  const text = await virsh(["domstats", "--raw", "--state"]);
  const conditions = new Map<string, DomainCondition>();
  for (const block of text.split(/\n(?=Domain: )/)) {
    const name = /^\s*Domain: '(.*)'$/m.exec(block)?.[1];
    const number = (key: string): number =>
      Number(new RegExp(`state\\.${key}=(\\d+)`).exec(block)?.[1] ?? NaN);
    const state = number("state");
    if (name === undefined || Number.isNaN(state)) continue;
    const both = `${state}.${number("reason")}`;
    const known = PASSING_PAUSES[both] ?? DOMAIN_STATES[state] ?? "running";
    const pausedBecause = PAUSES[both] ?? "other";
    conditions.set(name, known === "paused" ? { state: known, pausedBecause } : { state: known });
  }
  return conditions;
}

/** State and reason of a domain that libvirt itself holds for a moment. @see libvirt virDomainPausedReason: starting up, shutting down */
const PASSING_PAUSES: Readonly<Record<string, DomainState>> = { "3.11": "running", "3.8": "stopping" };

/**
 * State and reason of a domain that stays paused. QEMU pauses on an I/O error only where there was no room (its `werror=enospc`).
 * @see libvirt virDomainPausedReason: user, I/O error; virDomainState: pmsuspended
 */
const PAUSES: Readonly<Record<string, PauseReason>> = {
  "3.1": "by-hand",
  "3.5": "disk-full",
  ...{ "7.0": "asleep", "7.1": "asleep" },
};

/** @see libvirt virDomainState: nostate, running, blocked, paused, shutdown, shutoff, crashed, pmsuspended */
const DOMAIN_STATES: readonly DomainState[] = [
  ...(["running", "running", "running", "paused"] as const),
  ...(["stopping", "stopped", "stopped", "paused"] as const),
];

/** From the security model that changes owners, `+64055:+64055`. @see libvirt, "Driver capabilities", secmodel */
function readQemuUser(capabilities: string): QemuUser | undefined {
  const models = capabilities.match(/<secmodel>[^]*?<\/secmodel>/g) ?? [];
  const owners = models.find((model) => model.includes("<model>dac</model>")) ?? "";
  const [, uid, gid] = /<baselabel type=['"](?:kvm|qemu)['"]>\+?(\d+):\+?(\d+)</.exec(owners) ?? [];
  return uid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}

/** One virsh for all of them: a start of virsh takes longer than its answer. */
async function readDefinitions(virsh: Virsh, names: readonly string[]): Promise<readonly string[]> {
  if (names.length === 0) return [];
  const script = names.map((name) => `dumpxml --inactive ${name}`).join("; ");
  let text: string;
  try {
    text = await virsh([script]);
  } catch (error) {
    if (names.length === 1 || !(error instanceof CollectiveError) || error.code !== "PROCESS_FAILED") {
      if (/failed to get domain|Domain not found/.test(stderrOf(error))) return [];
      throw error;
    }
    return (await Promise.all(names.map((name) => readDefinitions(virsh, [name])))).flat();
  }
  return text.split(/^(?=<domain[ >])/m).filter((part) => part.startsWith("<domain"));
}
