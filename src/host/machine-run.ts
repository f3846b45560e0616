/** One run of a machine, from its start to its end: what its guest said, and who waits for it. */
import { mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { CollectiveError } from "../errors.ts";
import { writeFileAtomically } from "../io.ts";
import { openGuestChannel, type GuestChannel } from "./guest-channel.ts";
import type { GuestMessage } from "./guest-lines.ts";
import type { ReadyReport } from "./host.ts";
import type { Libvirt } from "./libvirt.ts";
import type { MachinePaths } from "./machine-paths.ts";
import type { MachineLabels } from "./machine-labels.ts";
import { readSetMessage } from "./secret-files.ts";
import { machineName } from "../network/paths.ts";

export interface GuestCondition {
  readonly state: "starting" | "ready" | "failed";
  readonly status: string;
  /** From the start of the domain to the first READY=1. */
  readonly bootMs: number | null;
}

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
const STATUS_WRITE_PERIOD_MS = 1000;

const savedSchema = z.object({
  startedAt: z.string(),
  state: z.enum(["starting", "ready", "failed"]),
  status: z.string(),
  bootMs: z.number().nullable(),
});

/** Attaches to a domain that runs: just started, or found running after a restart of the host manager. */
export async function attachRun(options: MachineRunOptions): Promise<MachineRun> {
  const run = new Run(options, await readSaved(options));
  await run.connect(options.wasRunning);
  return run;
}

type Outcome = "changed" | "reloaded" | "failed" | "ended";
type Waiter = (outcome: Outcome) => void;

class Run implements MachineRun {
  readonly labels: MachineLabels;
  readonly ended: Promise<void>;
  private readonly options: MachineRunOptions;
  private readonly waiters = new Set<Waiter>();
  private current: GuestCondition;
  private channel: GuestChannel | undefined;
  private repeatTimer: NodeJS.Timeout | undefined;
  private greeted = false;
  private closed = false;
  private stopping = false;
  private readonly disconnectWaiters: (() => void)[] = [];
  private hasEnded = false;
  private resolveEnded: () => void = () => undefined;
  private unsaved = false;
  private writing: Promise<void> | undefined;
  private saveTimer: NodeJS.Timeout | undefined;

  constructor(options: MachineRunOptions, saved: GuestCondition | undefined) {
    this.options = options;
    this.labels = options.labels;
    this.current = saved ?? { state: "starting", status: "", bootMs: null };
    this.ended = new Promise((resolve) => (this.resolveEnded = resolve));
  }

  condition(): GuestCondition {
    return this.current;
  }

  async connect(isBack: boolean): Promise<void> {
    for (let delayMs = RECONNECT_MS; !this.closed; delayMs = Math.min(delayMs * 2, MAX_RECONNECT_MS)) {
      try {
        this.channel = await openGuestChannel({
          socketPath: this.options.paths.channel,
          readSet: () => readSetMessage(this.options.paths),
          onMessage: (message) => {
            this.take(message);
          },
          onClosed: () => {
            this.channel = undefined;
            for (const resolve of this.disconnectWaiters.splice(0)) resolve();
            void this.connect(true);
          },
        });
        break;
      } catch {
        if (await this.checkEnded()) return;
        await pause(delayMs);
      }
    }
    if (this.closed) this.channel?.close();
    else if (isBack) this.sendSetUnlessGreeted();
  }

  /** A guest that did not notice that the host was away says no HELLO=1; it answers a set by repeating its last lines. */
  private sendSetUnlessGreeted(): void {
    this.greeted = false;
    const { channel } = this;
    setTimeout(() => {
      if (!this.greeted && this.channel === channel) channel?.sendSet();
    }, HELLO_TIMEOUT_MS).unref();
  }

  async awaitReady(timeoutMs: number): Promise<ReadyReport> {
    if (this.labels.ready === "running") this.become({ state: "ready" });
    const poll = this.labels.ready === "agent" ? this.pollAgent(Date.now() + timeoutMs) : undefined;
    const settled = (): boolean => this.current.state !== "starting" || this.hasEnded;
    if (!settled()) await this.waitFor(() => settled(), timeoutMs);
    void poll;
    if (this.hasEnded && this.current.state !== "failed") {
      return { state: "failed", status: "the machine ended before it was ready", bootMs: this.sinceStart() };
    }
    if (this.current.state === "starting") throw this.notReadyError(timeoutMs);
    return {
      state: this.current.state,
      status: this.current.status,
      bootMs: this.current.bootMs ?? this.sinceStart(),
    };
  }

  async resend(timeoutMs: number): Promise<boolean> {
    const answered = this.waitFor((outcome) => outcome !== "changed", timeoutMs);
    this.channel?.sendSet();
    return (await answered) === "reloaded";
  }

  setStopping(): void {
    this.stopping = true;
  }

  isStopping(): boolean {
    return this.stopping;
  }

  disconnected(): Promise<void> | undefined {
    if (this.channel === undefined) return undefined;
    return new Promise((resolve) => this.disconnectWaiters.push(resolve));
  }

  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.repeatTimer);
    this.channel?.close();
    this.announceEnd();
    await this.ended;
  }

  private take(message: GuestMessage): void {
    switch (message.kind) {
      case "hello":
        this.greeted = true;
        clearTimeout(this.repeatTimer);
        this.repeatTimer = setTimeout(() => {
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
    if (change.state !== undefined) clearTimeout(this.repeatTimer);
    const isFirstReady = change.state === "ready" && this.current.bootMs === null;
    this.current = { ...this.current, ...change, ...(isFirstReady ? { bootMs: this.sinceStart() } : {}) };
    this.save(change.state !== undefined);
    this.notify("changed");
  }

  /** What the guest said is found again after a restart of the host manager. A chatty guest is written once a second. */
  private save(atOnce: boolean): void {
    if (this.hasEnded) return; // the folder is no longer this run's
    this.unsaved = true;
    if (atOnce) void this.flush();
    else this.saveTimer ??= setTimeout(() => void this.flush(), STATUS_WRITE_PERIOD_MS).unref();
  }

  /** Resolves when everything said so far is written. */
  private flush(): Promise<void> {
    clearTimeout(this.saveTimer);
    this.saveTimer = undefined;
    this.writing ??= this.write().finally(() => (this.writing = undefined));
    return this.writing;
  }

  private async write(): Promise<void> {
    while (this.unsaved) {
      this.unsaved = false;
      const saved = { startedAt: this.labels.startedAt, ...this.current };
      await writeFileAtomically(this.options.paths.guestState, JSON.stringify(saved)).catch(() => undefined);
    }
  }

  private async pollAgent(deadline: number): Promise<void> {
    while (Date.now() < deadline && !this.hasEnded && this.current.state === "starting") {
      if (await this.options.libvirt.pingAgent(this.options.name)) this.become({ state: "ready" });
      else await pause(AGENT_PERIOD_MS);
    }
  }

  private waitFor(isDone: (outcome: Outcome) => boolean, timeoutMs: number): Promise<Outcome | "timeout"> {
    return new Promise((resolve) => {
      const finish = (outcome: Outcome | "timeout"): void => {
        clearTimeout(timer);
        this.waiters.delete(waiter);
        resolve(outcome);
      };
      const waiter: Waiter = (outcome) => {
        if (outcome === "ended" || isDone(outcome)) finish(outcome);
      };
      const timer = setTimeout(() => {
        finish("timeout");
      }, timeoutMs);
      this.waiters.add(waiter);
      if (this.hasEnded) finish("ended");
    });
  }

  private notify(outcome: Outcome): void {
    for (const waiter of [...this.waiters]) waiter(outcome);
  }

  private async checkEnded(): Promise<boolean> {
    const state = await this.options.libvirt.state(this.options.name).catch(() => "running" as const);
    if (state !== undefined && state !== "stopped") return false;
    this.announceEnd();
    return true;
  }

  /** Who waits for an answer is told at once; `ended` comes when nothing is being written into the machine's folder. */
  private announceEnd(): void {
    this.hasEnded = true;
    this.notify("ended");
    void this.flush().then(this.resolveEnded);
  }

  private sinceStart(): number {
    return Math.max(0, Date.now() - Date.parse(this.labels.startedAt));
  }

  private notReadyError(timeoutMs: number): CollectiveError {
    const said =
      this.current.status === "" ? "it has said nothing yet" : `its last status: ${this.current.status}`;
    return new CollectiveError(
      "HOST_NOT_READY",
      `${machineName(this.labels.component)} was not ready after ${Math.round(timeoutMs / 1000)} s; ${said}`,
      {
        data: { consoleLog: this.options.paths.consoleLog, status: this.current.status },
        hint: `its console is in ${this.options.paths.consoleLog} on the host; cui console attaches to it`,
      },
    );
  }
}

async function readSaved({ paths, labels }: MachineRunOptions): Promise<GuestCondition | undefined> {
  await mkdir(path.dirname(paths.guestState), { recursive: true });
  try {
    const { startedAt, ...condition } = savedSchema.parse(
      JSON.parse(await readFile(paths.guestState, "utf8")),
    );
    return startedAt === labels.startedAt ? condition : undefined;
  } catch {
    return undefined; // a new run, or the file of one before
  }
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}
