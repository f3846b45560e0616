import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import t, { type Test } from "tap";
import { createLineSplitter, parseGuestLine } from "../../src/host/guest-lines.ts";
import type { DomainState, Libvirt } from "../../src/host/libvirt.ts";
import { machinePaths } from "../../src/host/machine-paths.ts";
import { attachRun, type MachineRun } from "../../src/host/machine-run.ts";
import type { MachineLabels } from "../../src/host/machine-labels.ts";
import { replaceParameterLines } from "../../src/host/secret-files.ts";
import { eventually } from "./fixtures/traces.ts";

t.test("lines are the same however the stream is cut", (t) => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "grapheme" })), fc.array(fc.nat(40)), (texts, cuts) => {
      const lines = texts.map((text) => text.replace(/[\r\n]/g, ""));
      const stream = Buffer.from(lines.map((line) => `${line}\n`).join(""));
      const seen: string[] = [];
      const split = createLineSplitter((line) => seen.push(line));
      let at = 0;
      for (const cut of [...cuts, stream.length]) {
        split(stream.subarray(at, at + cut));
        at = Math.min(at + cut, stream.length);
      }
      return JSON.stringify(seen) === JSON.stringify(lines.map((line) => Buffer.from(line).toString()));
    }),
  );
  t.end();
});

t.test("a line of any length costs no memory, and does not hide the next one", (t) => {
  const seen: string[] = [];
  const split = createLineSplitter((line) => seen.push(line));
  const chunk = Buffer.alloc(1024 * 1024, "A");
  const before = heldBytes();
  for (let count = 0; count < 200; count++) split(chunk);
  t.ok(heldBytes() - before < 50 * 1024 * 1024);
  split(Buffer.from("\nREADY=1\r\nSTATUS=half"));
  t.same(seen, ["READY=1"]);
  t.end();
});

t.test("only what the protocol knows is heard", (t) => {
  t.same(parseGuestLine("READY=1"), { kind: "ready" });
  t.same(parseGuestLine("STATUS=a\u001b[2J\u202eb\u0007"), { kind: "status", text: "a[2Jb" });
  t.same(parseGuestLine(`FAILED=${"x".repeat(1000)}`), { kind: "failed", text: "x".repeat(400) });
  for (const line of ["", "READY=2", "ready=1", "READY=1 ", "NOTIFYACCESS=all", "=", "STATUS"]) {
    t.equal(parseGuestLine(line), undefined, JSON.stringify(line));
  }
  t.end();
});

/** What cannot be freed now, whenever the collector would have come by itself. */
function heldBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  const { heapUsed, external } = process.memoryUsage(); // buffers are external
  return heapUsed + external;
}

interface FakeGuest {
  readonly run: MachineRun;
  /** Where the run writes what its guest said. */
  readonly runFolder: string;
  /** What the host sent. */
  heard(): string;
  say(...lines: string[]): void;
  setLines(lines: readonly string[]): Promise<void>;
  /** QEMU lets go of the connection, and ends when `ended`. */
  hangUp(ended: boolean): void;
  savedState(): Promise<string>;
}

/** A run whose QEMU is a socket of the test. */
async function fakeGuest(t: Test, options: { wasRunning: boolean; saved?: object }): Promise<FakeGuest> {
  const folder = await mkdtemp(path.join(tmpdir(), "cui-channel-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const id = { networkId: "n", component: "w" };
  const paths = machinePaths(
    { directory: folder, runDirectory: folder, secretsDirectory: path.join(folder, "s") },
    id,
  );
  await mkdir(paths.runFolder, { recursive: true });
  await mkdir(paths.secretsFolder, { recursive: true });
  const startedAt = new Date(Date.now() - 5000).toISOString();
  const labels = { ...id, startedAt, ready: "guest" } as MachineLabels;
  if (options.saved !== undefined)
    await writeFile(paths.guestState, JSON.stringify({ startedAt, ...options.saved }));
  await replaceParameterLines(paths, ["a=1"]);

  let heard = "";
  let state: DomainState = "running";
  const connections: net.Socket[] = [];
  const server = net.createServer((socket) => {
    connections.push(socket);
    socket.on("data", (chunk) => (heard += chunk.toString()));
    socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(paths.channel, resolve));
  const libvirt = { state: () => Promise.resolve(state) } as unknown as Libvirt;
  const run = await attachRun({ labels, name: "cui.n.w", paths, libvirt, wasRunning: options.wasRunning });
  t.teardown(async () => {
    await run.close();
    server.close();
    for (const connection of connections) connection.destroy();
  });
  await eventually(() => Promise.resolve(connections.length > 0));
  return {
    run,
    runFolder: path.dirname(paths.guestState),
    heard: () => heard,
    say: (...lines) => connections.at(-1)!.write(lines.map((line) => `${line}\n`).join("")),
    setLines: (lines) => replaceParameterLines(paths, lines),
    hangUp: (ended) => {
      if (ended) {
        state = "stopped";
        server.close();
      }
      connections.at(-1)!.destroy();
    },
    savedState: () => readFile(paths.guestState, "utf8"),
  };
}

/** For what comes at once on a quiet machine. */
const ANSWER_MS = 60_000;
const soon = (check: () => boolean): Promise<boolean> => eventually(() => Promise.resolve(check()));

t.test("a guest that says hello is sent the current set", async (t) => {
  const guest = await fakeGuest(t, { wasRunning: false });
  await new Promise((resolve) => setTimeout(resolve, 1300));
  t.equal(guest.heard(), "", "nothing is said to a guest that has not opened its port");
  guest.say("HELLO=1");
  t.ok(await soon(() => guest.heard() === "a=1\n\n"));
  await guest.setLines(["a=2", "b=%25"]);
  guest.say("HELLO=1");
  t.ok(await soon(() => guest.heard() === "a=1\n\na=2\nb=%25\n\n"));
  const ready = guest.run.awaitReady(ANSWER_MS);
  guest.say("STATUS=up", "READY=1");
  t.match(await ready, { state: "ready", status: "up" });
  t.ok((await ready).bootMs >= 5000);
});

t.test("a set is answered, refused, or not answered", async (t) => {
  const guest = await fakeGuest(t, { wasRunning: false });
  guest.say("READY=1");
  const reloaded = guest.run.resend(ANSWER_MS);
  t.ok(await soon(() => guest.heard() === "a=1\n\n"));
  guest.say("STATUS=working", "RELOADED=1");
  t.equal(await reloaded, true);
  const refused = guest.run.resend(ANSWER_MS);
  guest.say("STATUS=hm", "FAILED=no");
  t.equal(await refused, false);
  t.match(guest.run.condition(), { state: "failed", status: "no" });
  t.equal(await guest.run.resend(50), false, "in time");
  const lost = guest.run.resend(ANSWER_MS);
  guest.hangUp(true);
  t.equal(await lost, false, "the machine ended");
  await guest.run.ended;
});

t.test("the set reaches a guest that did not notice a restart of the host manager", async (t) => {
  const saved = { state: "starting", status: "half way", bootMs: null };
  const guest = await fakeGuest(t, { wasRunning: true, saved });
  t.match(guest.run.condition(), saved);
  t.ok(await soon(() => guest.heard() === "a=1\n\n"));
  guest.say("STATUS=up", "READY=1", "RELOADED=1");
  t.ok(await soon(() => guest.run.condition().state === "ready"));
  t.ok(
    await eventually(async () => {
      const { state, status } = JSON.parse(await guest.savedState()) as Record<string, unknown>;
      return state === "ready" && status === "up";
    }),
  );
  guest.hangUp(false);
  t.ok(await soon(() => guest.heard() === "a=1\n\na=1\n\n"), "nor does a lost connection end it");
});

t.test("a guest that boots again is starting until it is ready", async (t) => {
  const guest = await fakeGuest(t, {
    wasRunning: true,
    saved: { state: "ready", status: "up", bootMs: 1234 },
  });
  guest.say("HELLO=1", "STATUS=up", "READY=1");
  await new Promise((resolve) => setTimeout(resolve, 2500));
  t.equal(guest.run.condition().state, "ready", "one that repeats READY=1 was up all the time");
  guest.say("HELLO=1");
  t.ok(await soon(() => guest.run.condition().state === "starting"));
  guest.say("READY=1");
  t.match(await guest.run.awaitReady(ANSWER_MS), { state: "ready", bootMs: 1234 });
});

t.test("who closes a run waits for what is being written, and all of it is", async (t) => {
  const guest = await fakeGuest(t, { wasRunning: false });
  guest.say("FAILED=once", "READY=1", "STATUS=last words");
  t.ok(await soon(() => guest.run.condition().status === "last words"));
  await guest.run.close();
  t.match(JSON.parse(await guest.savedState()), { state: "ready", status: "last words" });
  await rm(guest.runFolder, { recursive: true });
  await guest.run.close();
  await new Promise((resolve) => setTimeout(resolve, 200));
  t.notOk(existsSync(guest.runFolder), "nothing is written afterwards");
});

t.test("hellos without end are answered one at a time, for who does not read as well", async (t) => {
  const guest = await fakeGuest(t, { wasRunning: false });
  await guest.setLines([`a=${"x".repeat(60_000)}`]);
  guest.say(...Array<string>(20_000).fill("HELLO=1"));
  guest.say("READY=1");
  t.ok(await eventually(() => Promise.resolve(guest.run.condition().state === "ready")));
  const sets = guest.heard().split("\n\n").length - 1;
  t.ok(sets < 2000, `${sets} sets for 20000 hellos`);
});
