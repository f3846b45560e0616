/* eslint-disable @typescript-eslint/require-await -- a rejected promise, as a real host gives, not a throw */
/**
 * A host manager in memory, for tests of what decides over many hosts: it keeps the rules of the contract (idempotence, fences,
 * stamps, disks that only grow) and runs no guest.
 */
import { CollectiveError, type ErrorCode } from "../../src/errors.ts";
import type {
  DataDiskReport,
  DiskSpace,
  Fence,
  GuestState,
  Host,
  HostDescription,
  MachineId,
  MachineReport,
  MachineSpec,
  PauseReason,
} from "../../src/host/host.ts";
import { createMemoryData } from "./memory-data.ts";
import { withCheckedArguments } from "../../src/host/schema.ts";
import type { MachineImage } from "../../src/appliance/machine-image.ts";

const GIB = 1024 ** 3;

/** How the guest of a component behaves; by default it is ready at once. */
export interface GuestBehaviour {
  readonly bootMs?: number;
  /** It is not ready before this resolves. */
  readonly bootAfter?: Promise<unknown>;
  /** `never`: READY=1 does not come; `failed`: it says FAILED=. */
  readonly boot?: "ready" | "failed" | "never";
  /** False: it has no daemon that confirms parameters. */
  readonly reloads?: boolean;
  /** What it says when it is ready or reloaded; `starts` counts its starts on each data disk. Default `serving`. */
  readonly say?: (
    event: "ready" | "reloaded",
    spec: MachineSpec,
    starts: ReadonlyMap<string, number>,
  ) => string;
}

export interface MemoryHostOptions {
  readonly name: string;
  readonly memoryBytes?: number;
  readonly arch?: string;
  readonly disk?: DiskSpace;
  /** What the host lacks of what machines may need: `genisoimage`. */
  readonly lacks?: readonly string[];
  /** Code of the error `inventory` fails with, as on a host that lacks something. */
  readonly broken?: ErrorCode;
  /** Where calls are noted; shared by hosts whose order matters together. */
  readonly calls?: string[];
  /** By component and version, `w@2`, else by component. */
  readonly guests?: Readonly<Record<string, GuestBehaviour>>;
}

interface Running {
  spec: MachineSpec;
  state: GuestState;
  pausedBecause?: PauseReason;
  status: string;
  startedAt: string;
}

export interface MemoryHost extends Host {
  /** Every mutating call in order: `start w@2`, `stop d`, `send w`, `attic w`, `prepare app@1`. */
  readonly calls: string[];
  /** Set to make the next calls of a kind fail: `calls` shows them with `!`. */
  readonly failures: Map<string, CollectiveError>;
  readonly disks: DataDiskReport[];
  /** What disks hold, by `<component>:<device>` or entry of the attic. */
  readonly contents: Map<string, Buffer>;
  readonly images: Set<string>;
  readonly tokens: Map<string, number>;
  /** What the guest last got, clear. */
  linesOf(component: string, networkId?: string): readonly string[];
  running(): string[];
  /** Ends every domain, as a host reboot does; disks stay. */
  reboot(): void;
  setState(component: string, state: GuestState): void;
  pause(component: string, because: PauseReason): void;
}

export function createMemoryHost(options: MemoryHostOptions): MemoryHost {
  const machines = new Map<string, Running>();
  const calls = options.calls ?? [];
  const failures = new Map<string, CollectiveError>();
  const disks: DataDiskReport[] = [];
  const images = new Set<string>();
  const starts = new Map<string, Map<string, number>>();
  const tokens = new Map<string, number>();
  const sites = new Map<string, string>();

  const fenced = (fence: Fence, id?: MachineId): void => {
    if (id !== undefined && id.networkId !== fence.networkId) {
      throw hostError("HOST_REQUEST_INVALID", "the fence is of another network");
    }
    const owner = sites.get(fence.networkId) ?? fence.site;
    if (owner !== undefined && fence.site !== undefined && owner !== fence.site)
      throw hostError("HOST_OTHER_SITE", `${fence.networkId} belongs to ${owner}, not ${fence.site}`);
    if (owner !== undefined) sites.set(fence.networkId, owner);
    const highest = tokens.get(fence.networkId) ?? 0;
    if (fence.token < highest)
      throw hostError("HOST_FENCED", `token ${fence.token} is lower than ${highest}`);
    tokens.set(fence.networkId, fence.token);
  };
  const call = (kind: string, what: string): void => {
    const failure = failures.get(`${kind} ${what.replace(/@.*/, "")}`) ?? failures.get(kind);
    calls.push(`${failure === undefined ? "" : "!"}${kind} ${what}`);
    if (failure !== undefined) throw failure;
  };
  const behaviourOf = (spec: MachineSpec): GuestBehaviour => {
    const { component } = spec.id;
    return options.guests?.[`${component}@${spec.image.source.version}`] ?? options.guests?.[component] ?? {};
  };
  const mustRun = (id: MachineId): Running => {
    const found = machines.get(keyOf(id));
    if (found === undefined) {
      throw hostError("HOST_MACHINE_UNKNOWN", `${id.component} does not run`, "cui status shows what does");
    }
    return found;
  };
  const findDisk = (id: MachineId, device: string): number =>
    disks.findIndex((disk) => keyOf(disk.id) === keyOf(id) && disk.device === device && !disk.inAttic);
  const hasImage = ({ programDisks }: MachineImage): boolean =>
    programDisks.every(({ indexDigest }) => images.has(indexDigest));
  const say = (running: Running, event: "ready" | "reloaded"): string =>
    behaviourOf(running.spec).say?.(event, running.spec, starts.get(keyOf(running.spec.id)) ?? new Map()) ??
    "serving";

  const data = createMemoryData({
    ...{ disks, fenced, call },
    isRunning: (id) => !["stopped", undefined].includes(machines.get(keyOf(id))?.state),
    siteOf: (networkId) => sites.get(networkId),
  });
  const methods: Host = {
    ...data.calls,
    describe: async () => describe(options),
    inventory: async () => {
      if (options.broken !== undefined) throw hostError(options.broken, "the host lacks something");
      return {
        machines: [...machines.values()].map(reportOf),
        dataDisks: disks.map((disk) => ({ ...disk })),
        images: [...images],
      };
    },
    verifyImages: () => Promise.resolve([]),
    prepareImage: async (fence, image) => {
      fenced(fence);
      call("prepare", `${image.source.url.split("/").at(-1)}@${image.source.version}`);
      const fetchedBytes = hasImage(image) ? 0 : 1000;
      for (const { indexDigest } of image.programDisks) images.add(indexDigest);
      return { fetchedBytes };
    },
    prepareDataDisks: async (fence, id, wanted) => {
      fenced(fence, id);
      const lost = wanted.find(({ device, isNew = true }) => !isNew && findDisk(id, device) === -1);
      if (lost !== undefined) throw hostError("HOST_DISK_MISSING", `${lost.device} is not there`);
      const failure = failures.get(`disks ${id.component}`);
      if (failure !== undefined) throw failure;
      for (const { device, sizeBytes } of wanted) {
        const index = findDisk(id, device);
        const found = disks[index];
        if (found !== undefined && found.sizeBytes > sizeBytes) {
          throw hostError("HOST_DISK_SHRINK", `${device} of ${id.component} would shrink`);
        }
        if (found === undefined) disks.push({ id, device, sizeBytes, allocatedBytes: 0, inAttic: false });
        else disks[index] = { ...found, sizeBytes };
      }
    },
    startMachine: async (fence, spec) => {
      fenced(fence, spec.id);
      const known = machines.get(keyOf(spec.id));
      const isOn = known !== undefined && known.state !== "stopped";
      if (isOn && isSameMachine(known.spec, spec)) return;
      call("start", `${spec.id.component}@${spec.image.source.version}`);
      if (isOn) throw hostError("HOST_MACHINE_RUNNING", `${spec.id.component} runs already`);
      if (!hasImage(spec.image)) throw hostError("HOST_IMAGE_MISSING", "the image is not prepared");
      const absent = spec.dataDisks.find(({ device }) => findDisk(spec.id, device) === -1);
      if (absent !== undefined) throw hostError("HOST_DISK_MISSING", `${absent.device} is not there`);
      const counts = starts.get(keyOf(spec.id)) ?? new Map<string, number>();
      for (const { device } of spec.dataDisks) counts.set(device, (counts.get(device) ?? 0) + 1);
      starts.set(keyOf(spec.id), counts);
      machines.set(keyOf(spec.id), {
        spec,
        state: "starting",
        status: "",
        startedAt: new Date().toISOString(),
      });
    },
    awaitReady: async (id, timeoutMs) => {
      const running = mustRun(id);
      const { bootMs = 0, boot = "ready", bootAfter } = behaviourOf(running.spec);
      if (running.state === "ready") return { state: "ready", status: running.status, bootMs };
      await bootAfter;
      await sleep(Math.min(boot === "never" ? timeoutMs : bootMs, timeoutMs));
      if (boot === "never" || bootMs > timeoutMs) {
        throw hostError("HOST_NOT_READY", `${id.component} did not say READY=1 within ${timeoutMs / 1000} s`);
      }
      running.state = boot;
      running.status = boot === "failed" ? "disk is full" : say(running, "ready");
      return { state: boot, status: running.status, bootMs };
    },
    sendParameters: async (fence, id, parameterLines) => {
      fenced(fence, id);
      const running = mustRun(id);
      call("send", id.component);
      running.spec = { ...running.spec, parameterLines };
      running.status = say(running, "reloaded");
      return { reloaded: behaviourOf(running.spec).reloads !== false };
    },
    resumeMachine: async (fence, id) => {
      fenced(fence, id);
      const running = mustRun(id);
      call("resume", id.component);
      running.state = "ready";
      delete running.pausedBecause;
    },
    stopMachine: async (fence, id) => {
      fenced(fence, id);
      const known = machines.get(keyOf(id));
      if (known !== undefined && known.state !== "stopped") call("stop", id.component);
      machines.delete(keyOf(id));
      return { forced: false };
    },
    moveToAttic: async (fence, id) => {
      fenced(fence, id);
      if (machines.has(keyOf(id))) throw hostError("HOST_MACHINE_RUNNING", `${id.component} runs`);
      call("attic", id.component);
      data.toAttic(fence, id);
    },
    consolePath: async (id) => {
      mustRun(id);
      return `/run/collective/${id.networkId}-${id.component}.console`;
    },
    close: async () => undefined,
  };
  return {
    ...withCheckedArguments(methods),
    calls,
    failures,
    disks,
    contents: data.contents,
    images,
    tokens,
    linesOf: (component, networkId) =>
      [...machines.values()].find(
        ({ spec }) =>
          spec.id.component === component && (networkId ?? spec.id.networkId) === spec.id.networkId,
      )?.spec.parameterLines ?? [],
    running: () =>
      [...machines.values()]
        .filter(({ state }) => state !== "stopped")
        .map(({ spec }) => `${spec.id.component}@${spec.image.source.version}`)
        .sort(),
    reboot: () => {
      for (const machine of machines.values()) machine.state = "stopped";
    },
    setState: (component, state) => {
      for (const machine of machines.values())
        if (machine.spec.id.component === component) machine.state = state;
    },
    pause: (component, because) => {
      for (const machine of machines.values())
        if (machine.spec.id.component === component)
          Object.assign(machine, { state: "paused", pausedBecause: because });
    },
  };
}

/** The same machine, whatever its parameters and its plan. */
function isSameMachine(a: MachineSpec, b: MachineSpec): boolean {
  const essence = ({ image, dataDisks, interfaces }: MachineSpec): string =>
    JSON.stringify([image.digest, dataDisks, interfaces]);
  return essence(a) === essence(b);
}

function hostError(code: ErrorCode, message: string, hint?: string): CollectiveError {
  return new CollectiveError(code, message, hint === undefined ? {} : { hint });
}

function describe(options: MemoryHostOptions): HostDescription {
  return {
    protocol: 1,
    name: options.name,
    arch: options.arch ?? "x86_64",
    accelerator: "tcg",
    cpus: 2,
    memoryBytes: options.memoryBytes ?? 4 * GIB,
    bridge: "br-int",
    ...(options.disk === undefined ? {} : { disk: options.disk }),
    lacks: options.lacks ?? [],
  };
}

function reportOf({ spec, state, pausedBecause, status, startedAt }: Running): MachineReport {
  return {
    id: spec.id,
    version: spec.image.source.version,
    imageDigest: spec.image.digest,
    plan: spec.plan,
    state,
    ...(pausedBecause === undefined ? {} : { pausedBecause }),
    status,
    startedAt,
    memoryBytes: spec.image.description.memoryBytes,
    interfaces: spec.interfaces,
    dataDisks: spec.dataDisks,
  };
}

function keyOf(id: MachineId): string {
  return `${id.networkId}\0${id.component}`;
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
