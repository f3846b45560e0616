/** Boots a built appliance under QEMU without libvirt and plays the host's part on its channel. */
import { spawn, execFileSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync, openSync, closeSync, existsSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Test } from "tap";

/**
 * How long anything may take before it counts as hung. A quiet machine boots a tiny guest in five seconds and a Debian in forty;
 * who waits for this long has failed.
 */
const PATIENCE_MS = 600_000;

export interface NetworkCard {
  readonly mac: string;
  /** A QEMU `-netdev` without its id: `user,restrict=on,…` or `stream,…`; several are joined by a hub. */
  readonly netdevs: readonly string[];
}

export interface GuestOptions {
  readonly folder: string;
  readonly memoryMib?: number;
  /** What fw_cfg holds: a line each; without it there is no such file. */
  readonly parameters?: readonly string[];
  /** What the host sends when the guest says HELLO=1; default `parameters`, null: nothing. */
  readonly sent?: readonly string[] | null;
  readonly cards?: readonly NetworkCard[];
  /** Further disks, vdb, vdc …: qcow2 or raw files. */
  readonly disks?: readonly { readonly file: string; readonly format: "qcow2" | "raw" }[];
  readonly append?: string;
}

/** A shell waits; what follows asks the terminal for the place of its cursor. */
const PROMPT = /[#$] (\u001b\[[0-9;?]*[A-Za-z])*$/;

/** Folders of machines that run: short paths under /tmp, because those of unix sockets are bounded. */
const scratchFolders = new Set<string>();
process.on("exit", () => {
  for (const folder of scratchFolders) rmSync(folder, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(1));

export class GuestMachine {
  /** Every line the guest said. */
  readonly lines: string[] = [];
  readonly startedAt = performance.now();
  private readonly scratch: string;
  private readonly process: ChildProcess;
  private channel: net.Socket | undefined;
  private sent: readonly string[] | null;

  private constructor(scratch: string, process: ChildProcess, sent: readonly string[] | null) {
    this.scratch = scratch;
    this.process = process;
    this.sent = sent;
  }

  static async boot(t: Test, options: GuestOptions): Promise<GuestMachine> {
    const scratch = mkdtempSync(path.join(tmpdir(), "cui-guest-"));
    scratchFolders.add(scratch);
    if (options.parameters !== undefined) {
      writeFileSync(path.join(scratch, "parameters"), setText(options.parameters).slice(0, -1));
    }
    execFileSync("qemu-img", [
      ...["create", "-q", "-f", "qcow2", "-F", "raw"],
      ...["-b", path.join(options.folder, "root.img"), path.join(scratch, "root.qcow2")],
    ]);
    const log = openSync(path.join(scratch, "qemu.log"), "w");
    // QEMU goes when this process goes, however it goes.
    const child = spawn("setpriv", ["--pdeathsig", "KILL", "qemu-system-x86_64", ...qemuArguments(scratch, options)], {
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    const sent = options.sent === undefined ? (options.parameters ?? null) : options.sent;
    const machine = new GuestMachine(scratch, child, sent);
    t.teardown(() => machine.destroy());
    await machine.connect();
    return machine;
  }

  /** Opens the channel, as a host manager does; the guest says HELLO=1 each time. */
  async connect(): Promise<void> {
    this.channel = await connectSocket(path.join(this.scratch, "channel.sock"), () => this.process.exitCode !== null);
    let buffer = "";
    this.channel.setEncoding("utf8").on("data", (text: string) => {
      const parts = (buffer + text).split("\n");
      buffer = parts.pop() ?? "";
      for (const line of parts) this.hear(line);
    });
    this.channel.on("error", () => undefined);
  }

  disconnect(): void {
    this.channel?.destroy();
  }

  /** Sends a set of parameters; later HELLOs get it too. Resolves to the guest's answer. */
  async send(parameters: readonly string[], timeoutMs = PATIENCE_MS): Promise<string> {
    this.sent = parameters;
    const from = this.lines.length;
    this.channel?.write(setText(parameters));
    return this.waitFor(/^(RELOADED=1|FAILED=.*)$/, { timeoutMs, from });
  }

  /** The first line that matches, of those said and those to come. */
  async waitFor(pattern: RegExp, { timeoutMs = PATIENCE_MS, from = 0 } = {}): Promise<string> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const line = this.lines.slice(from).find((candidate) => pattern.test(candidate));
      if (line !== undefined) return line;
      if (this.process.exitCode !== null) throw this.failure(`QEMU ended while waiting for ${pattern.source}`);
      if (performance.now() > deadline) throw this.failure(`no line ${pattern.source} in ${timeoutMs} ms`);
      await sleep(20);
    }
  }

  /** READY=1, or an error that says what the guest said instead. Resolves to the milliseconds since the start. */
  async ready(timeoutMs = PATIENCE_MS): Promise<number> {
    const line = await this.waitFor(/^(READY=1|FAILED=.*)$/, { timeoutMs });
    if (line !== "READY=1") throw this.failure(line);
    return performance.now() - this.startedAt;
  }

  /** Types a command at the serial console and resolves to what it printed. */
  async console(command: string, timeoutMs = PATIENCE_MS): Promise<string> {
    const socket = await connectSocket(path.join(this.scratch, "console.sock"), () => false);
    let text = "";
    socket.setEncoding("utf8").on("data", (part: string) => (text += part));
    const deadline = performance.now() + timeoutMs;
    // A login that is being set up drops what was typed before.
    for (let tries = 0; !PROMPT.test(text); tries += 1) {
      if (performance.now() > deadline) throw this.failure(`console: no prompt in ${JSON.stringify(text)}`);
      if (tries % 100 === 0) socket.write("\n");
      await sleep(20);
    }
    const mark = `done-${Math.random().toString(36).slice(2)}`;
    // Split, so that the echo of what was typed is not the mark.
    socket.write(`${command}; echo ${mark.slice(0, 6)}""${mark.slice(6)}\n`);
    while (!text.includes(mark)) {
      if (performance.now() > deadline) throw this.failure(`console: ${command} gave ${JSON.stringify(text)}`);
      await sleep(20);
    }
    socket.destroy();
    return text;
  }

  /** Presses the power button; resolves to the milliseconds until the machine was off. */
  async powerDown(timeoutMs = PATIENCE_MS): Promise<number> {
    const from = performance.now();
    const monitor = await connectSocket(path.join(this.scratch, "qmp.sock"), () => false);
    monitor.on("error", () => undefined).resume();
    monitor.write('{"execute":"qmp_capabilities"}\n{"execute":"system_powerdown"}\n');
    const exited = this.process.exitCode === null ? once(this.process, "exit") : Promise.resolve();
    const timer = setTimeout(() => this.process.kill("SIGKILL"), timeoutMs);
    await exited;
    clearTimeout(timer);
    monitor.destroy();
    if (this.process.signalCode !== null) throw this.failure(`still on after ${timeoutMs} ms`);
    return performance.now() - from;
  }

  /** The port of this machine that a `hostfwd=tcp:127.0.0.1:0-…` to the guest's port got; nobody else can have taken it. */
  async forwardedPort(guestPort: number): Promise<number> {
    const monitor = await connectSocket(path.join(this.scratch, "qmp.sock"), () => false);
    let text = "";
    monitor.setEncoding("utf8").on("data", (part: string) => (text += part));
    const ask = { execute: "human-monitor-command", arguments: { "command-line": "info usernet" } };
    monitor.write(`{"execute":"qmp_capabilities"}\n${JSON.stringify(ask)}\n`);
    for (const deadline = performance.now() + PATIENCE_MS; !/RecvQ[^]*\n$/.test(text);) {
      if (performance.now() > deadline) throw this.failure(`no answer to info usernet: ${text}`);
      await sleep(20);
    }
    monitor.destroy();
    const line = new RegExp(`TCP\\[HOST_FORWARD\\] +\\d+ +127\\.0\\.0\\.1 +(\\d+) +[0-9.]+ +${guestPort} `);
    const port = Number(line.exec(text)?.[1]);
    if (!(port > 0)) throw this.failure(`no port leads to ${guestPort}: ${text}`);
    return port;
  }

  /** Pulls the plug. */
  async destroy(): Promise<void> {
    this.channel?.destroy();
    if (this.process.exitCode === null && this.process.signalCode === null) {
      const exited = once(this.process, "exit");
      this.process.kill("SIGKILL");
      await exited;
    }
    rmSync(this.scratch, { recursive: true, force: true });
    scratchFolders.delete(this.scratch);
  }

  private hear(line: string): void {
    this.lines.push(line);
    if (line === "HELLO=1" && this.sent !== null) this.channel?.write(setText(this.sent));
  }

  private failure(message: string): Error {
    const log = existsSync(this.scratch) ? readFileSync(path.join(this.scratch, "qemu.log"), "utf8") : "";
    const serial = path.join(this.scratch, "console.log");
    const printed = existsSync(serial) ? readFileSync(serial, "utf8").slice(-3000) : "";
    return new Error(`${message}\nsaid: ${this.lines.join(" | ")}\nqemu: ${log}\nconsole: ${printed}`);
  }
}

function qemuArguments(scratch: string, options: GuestOptions): string[] {
  const file = (name: string): string => path.join(scratch, name);
  const disks = [{ file: file("root.qcow2"), format: "qcow2" }, ...(options.disks ?? [])];
  return [
    ...["-machine", "q35,accel=tcg", "-m", String(options.memoryMib ?? 128), "-nodefaults", "-display", "none"],
    "-no-reboot",
    ...["-kernel", path.join(options.folder, "vmlinuz"), "-initrd", path.join(options.folder, "initrd.img")],
    ...["-append", `console=ttyS0 root=/dev/vda no_timer_check quiet ${options.append ?? ""}`],
    ...disks.flatMap((disk) => ["-drive", `file=${disk.file},format=${disk.format},if=virtio,cache=unsafe`]),
    ...(options.parameters === undefined
      ? []
      : ["-fw_cfg", `name=opt/org.collective/parameters,file=${file("parameters")}`]),
    ...["-chardev", `socket,id=console,path=${file("console.sock")},server=on,wait=off,logfile=${file("console.log")}`],
    ...["-serial", "chardev:console"],
    ...["-device", "virtio-serial-pci", "-device", "virtio-rng-pci"],
    ...["-chardev", `socket,id=channel,path=${file("channel.sock")},server=on,wait=off`],
    ...["-device", "virtserialport,chardev=channel,name=org.collective.guest"],
    ...["-qmp", `unix:${file("qmp.sock")},server=on,wait=off`],
    ...(options.cards ?? []).flatMap(cardArguments),
  ];
}

function cardArguments({ mac, netdevs }: NetworkCard, index: number): string[] {
  const device = ["-device", `virtio-net-pci,netdev=card${index},mac=${mac}`];
  if (netdevs.length === 1) return ["-netdev", insertId(netdevs[0]!, `card${index}`), ...device];
  return [
    ...netdevs.flatMap((netdev, part) => {
      const id = `card${index}part${part}`;
      return ["-netdev", insertId(netdev, id), "-netdev", `hubport,id=${id}hub,hubid=${index},netdev=${id}`];
    }),
    ...["-netdev", `hubport,id=card${index},hubid=${index}`],
    ...device,
  ];
}

function insertId(netdev: string, id: string): string {
  return netdev.replace(/^([a-z]+)/, `$1,id=${id}`);
}

function setText(parameters: readonly string[]): string {
  return `${parameters.map((line) => `${line}\n`).join("")}\n`;
}

async function connectSocket(file: string, isHopeless: () => boolean): Promise<net.Socket> {
  for (let tries = 0; ; tries += 1) {
    const socket = net.connect(file);
    // `once` rejects when the socket says error first.
    const connected = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    if (connected) return socket;
    if (tries * 50 > PATIENCE_MS || isHopeless()) throw new Error(`${file} cannot be reached`);
    await sleep(50);
  }
}
