/** One run of a machine, from its start to its end: what its guest said, and who waits for it. */
import { CollectiveError } from "../errors.ts";
import { openGuestChannel, type GuestChannel } from "./guest-channel.ts";
import type { GuestMessage } from "./guest-lines.ts";
import {
  openGuestStateFile,
  readGuestState,
  type GuestCondition,
  type GuestStateFile,
} from "./guest-state-file.ts";
import type { ReadyReport } from "./host.ts";
import type { Libvirt } from "./libvirt.ts";
import type { MachinePaths } from "./machine-paths.ts";
import type { MachineLabels } from "./machine-labels.ts";
import { readSetMessage } from "./secret-files.ts";
import { machineName } from "../network/paths.ts";

export interface MachineRun {
  readonly labels: MachineLabels;
  condition(): GuestCondition;
  /** @see Host.awaitReady */
  awaitReady(timeoutMs: number): Promise<ReadyReport>;
  /** Sends the set that lies in the secrets folder now; true when the guest has taken it over. */
  resend(timeoutMs: number): Promise<boolean>;
  /** From now on `stopping` is what the guest does. */
  setStopping(): void;
  isStopping(): boolean;
  /** Resolves when QEMU lets go of the channel, mostly because it ends; undefined when it has already. */
  disconnected(): Promise<void> | undefined;
  /** Resolves when the domain has ended and nothing of the run is written any more. */
  readonly ended: Promise<void>;
  /** Lets go of the channel; the machine goes on. Resolves when what its guest said is written and nothing writes any more. */
  close(): Promise<void>;
}

export interface MachineRunOptions {
  readonly labels: MachineLabels;
  readonly name: string;
  readonly paths: MachinePaths;
  readonly libvirt: Libvirt;
  /** The domain ran before this host manager did: its guest may not say HELLO=1 again. */
  readonly wasRunning: boolean;
}

/** A guest that is back at its port says HELLO=1 sooner than this. */
const HELLO_TIMEOUT_MS = 1000;
/** A guest that is up repeats READY=1 after HELLO=1 sooner than this; one that is not is booting again. */
const REPEAT_TIMEOUT_MS = 2000;
const AGENT_PERIOD_MS = 500;
const RECONNECT_MS = 200;
const MAX_RECONNECT_MS = 2000;

/** Attaches to a domain that runs: just started, or found running after a restart of the host manager. */
export async function attachRun(options: MachineRunOptions): Promise<MachineRun> {
  const { paths, labels } = options;
  const file = await openGuestStateFile(paths.guestState, labels.startedAt);
  const saved = await readGuestState(paths.guestState, labels.startedAt);
  const run = new Run(options, file, saved ?? { state: "starting", status: "", bootMs: null });
  await run.connect(options.wasRunning);
  return run;
}

interface Known {
  readonly guest: GuestCondition;
  readonly isStopping: boolean;
}

/** `connecting`: QEMU's socket is not there yet, or not any more. `over`: the domain ended, or this run let go of it. */
type RunState =
  | (Known & { readonly kind: "connecting" })
  | (Known & { readonly kind: "connected"; readonly channel: GuestChannel; readonly hasGreeted: boolean })
  | (Known & { readonly kind: "over" });

type Outcome = "changed" | "reloaded" | "failed" | "disconnected" | "ended";

class Run implements MachineRun {
  readonly labels: MachineLabels;
  readonly ended: Promise<void>;
  private readonly options: MachineRunOptions;
  private readonly file: GuestStateFile;
  private readonly waiters = new Set<(outcome: Outcome) => void>();
  private readonly announceEnded: () => void;
  private state: RunState;
  /** Runs after HELLO=1: without a READY=1 the guest is booting again. */
  private rebootTimer: NodeJS.Timeout | undefined;

  constructor(options: MachineRunOptions, file: GuestStateFile, guest: GuestCondition) {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.options = options;
    this.labels = options.labels;
    this.file = file;
    this.ended = promise;
    this.announceEnded = () => {
      resolve(undefined);
    };
    this.state = { kind: "connecting", guest, isStopping: false };
  }

  condition(): GuestCondition {
    return this.state.guest;
  }

  /** Resolves when the channel is open, or the run is over. `isBack`: the guest may take the channel for the one it had. */
  async connect(isBack: boolean): Promise<void> {
    for (
      let delayMs = RECONNECT_MS;
      this.state.kind === "connecting";
      delayMs = Math.min(delayMs * 2, MAX_RECONNECT_MS)
    ) {
      try {
        const channel = await this.openChannel();
        this.useChannel(channel, isBack);
        return;
      } catch {
        if (await this.hasDomainEnded()) {
          this.finish();
          return;
        }
        await pause(delayMs);
      }
    }
  }

  private openChannel(): Promise<GuestChannel> {
    return openGuestChannel({
      socketPath: this.options.paths.channel,
      readSet: () => readSetMessage(this.options.paths),
      onMessage: (message) => {
        this.take(message);
      },
      onClosed: () => {
        const { guest, isStopping } = this.state;
        this.state = { kind: "connecting", guest, isStopping };
        this.notify("disconnected");
        void this.connect(true);
      },
    });
  }

  private useChannel(channel: GuestChannel, isBack: boolean): void {
    if (this.state.kind === "over") {
      channel.close();
      return;
    }
    const { guest, isStopping } = this.state;
    this.state = { kind: "connected", channel, hasGreeted: false, guest, isStopping };
    if (isBack) this.sendSetUnlessGreeted(channel);
  }

  /** A guest that did not notice that the host was away says no HELLO=1; it answers a set by repeating its last lines. */
  private sendSetUnlessGreeted(channel: GuestChannel): void {
    setTimeout(() => {
      const { state } = this;
      if (state.kind === "connected" && state.channel === channel && !state.hasGreeted) channel.sendSet();
    }, HELLO_TIMEOUT_MS).unref();
  }

  async awaitReady(timeoutMs: number): Promise<ReadyReport> {
    if (this.labels.ready === "running") this.become({ state: "ready" });
    if (this.labels.ready === "agent") void this.pollAgent(Date.now() + timeoutMs);
    const isSettled = (): boolean => this.state.guest.state !== "starting" || this.state.kind === "over";
    if (!isSettled()) await this.waitFor(isSettled, timeoutMs);
    const { kind, guest } = this.state;
    if (kind === "over" && guest.state !== "failed") {
      return { state: "failed", status: "the machine ended before it was ready", bootMs: this.sinceStart() };
    }
    if (guest.state === "starting") throw this.notReadyError(timeoutMs);
    return { state: guest.state, status: guest.status, bootMs: guest.bootMs ?? this.sinceStart() };
  }

  async resend(timeoutMs: number): Promise<boolean> {
    const answered = this.waitFor((outcome) => outcome === "reloaded" || outcome === "failed", timeoutMs);
    if (this.state.kind === "connected") this.state.channel.sendSet();
    return (await answered) === "reloaded";
  }

  setStopping(): void {
    this.state = { ...this.state, isStopping: true };
  }

  isStopping(): boolean {
    return this.state.isStopping;
  }

  disconnected(): Promise<void> | undefined {
    if (this.state.kind !== "connected") return undefined;
    return this.waitFor((outcome) => outcome === "disconnected").then(() => undefined);
  }

  async close(): Promise<void> {
    clearTimeout(this.rebootTimer);
    if (this.state.kind === "connected") this.state.channel.close();
    this.finish();
    await this.ended;
  }

  private take(message: GuestMessage): void {
    switch (message.kind) {
      case "hello":
        if (this.state.kind === "connected") this.state = { ...this.state, hasGreeted: true };
        clearTimeout(this.rebootTimer);
        this.rebootTimer = setTimeout(() => {
          this.become({ state: "starting" });
        }, REPEAT_TIMEOUT_MS).unref();
        return;
      case "ready":
        this.become({ state: "ready" });
        return;
      case "reloaded":
        this.notify("reloaded");
        return;
      case "failed":
        this.become({ state: "failed", status: message.text });
        this.notify("failed");
        return;
      case "status":
        this.become({ status: message.text });
    }
  }

  private become(change: Partial<GuestCondition>): void {
    if (change.state !== undefined) clearTimeout(this.rebootTimer);
    const before = this.state.guest;
    const isFirstReady = change.state === "ready" && before.bootMs === null;
    const guest = { ...before, ...change, ...(isFirstReady ? { bootMs: this.sinceStart() } : {}) };
    this.state = { ...this.state, guest };
    // Of a run that is over, the folder is no longer its own.
    if (this.state.kind !== "over") this.file.write(guest, change.state === undefined ? "soon" : "now");
    this.notify("changed");
  }

  private async pollAgent(deadline: number): Promise<void> {
    const isWaiting = (): boolean => this.state.kind !== "over" && this.state.guest.state === "starting";
    while (Date.now() < deadline && isWaiting()) {
      if (await this.options.libvirt.pingAgent(this.options.name)) this.become({ state: "ready" });
      else await pause(AGENT_PERIOD_MS);
    }
  }

  /** Resolves to the first outcome that is waited for, or to the end of the run; without a limit it waits as long as the run goes. */
  private waitFor(isDone: (outcome: Outcome) => boolean, timeoutMs?: number): Promise<Outcome | "timeout"> {
    if (this.state.kind === "over") return Promise.resolve("ended");
    return new Promise((resolve) => {
      const finish = (outcome: Outcome | "timeout"): void => {
        clearTimeout(timer);
        this.waiters.delete(waiter);
        resolve(outcome);
      };
      const waiter = (outcome: Outcome): void => {
        if (outcome === "ended" || isDone(outcome)) finish(outcome);
      };
      const timer = timeoutMs === undefined ? undefined : setTimeout(finish, timeoutMs, "timeout" as const);
      this.waiters.add(waiter);
    });
  }

  private notify(outcome: Outcome): void {
    for (const waiter of [...this.waiters]) waiter(outcome);
  }

  private async hasDomainEnded(): Promise<boolean> {
    const state = await this.options.libvirt.state(this.options.name).catch(() => "running" as const);
    return state === undefined || state === "stopped";
  }

  /** Who waits for an answer is told at once; `ended` comes when nothing is being written into the machine's folder. */
  private finish(): void {
    const { guest, isStopping } = this.state;
    this.state = { kind: "over", guest, isStopping };
    this.notify("ended");
    void this.file.flush().then(this.announceEnded);
  }

  private sinceStart(): number {
    return Math.max(0, Date.now() - Date.parse(this.labels.startedAt));
  }

  private notReadyError(timeoutMs: number): CollectiveError {
    const { status } = this.state.guest;
    const said = status === "" ? "it has said nothing yet" : `its last status: ${status}`;
    return new CollectiveError(
      "HOST_NOT_READY",
      `${machineName(this.labels.component)} was not ready after ${Math.round(timeoutMs / 1000)} s; ${said}`,
      {
        data: { consoleLog: this.options.paths.consoleLog, status },
        hint: `its console is in ${this.options.paths.consoleLog} on the host; cui console attaches to it`,
      },
    );
  }
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}
