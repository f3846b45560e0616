/** Locks on files: one owner at a time, the owner's name, and what becomes of both when the owner dies. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Readable } from "node:stream";
import t, { type Test } from "tap";
import { runIfUnlocked, takeFileLock, withFileLock, type FileLockOptions } from "../src/file-lock.ts";
import { run } from "../src/io.ts";
import { identifySelf } from "../src/process-identity.ts";

const NOBODY = 65534;
/** How long something that works is waited for at most. */
const PATIENCE_MS = 120_000;

function scratch(t: Test): string {
  const folder = mkdtempSync(path.join(tmpdir(), "lock-"));
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

const at = (file: string, more: Partial<FileLockOptions> = {}): FileLockOptions => ({
  file,
  purpose: "this test",
  ...more,
});
const now = (file: string): FileLockOptions => at(file, { waitMs: 0 });
const nothing = (): Promise<void> => Promise.resolve();

interface Holder {
  readonly pid: number;
  readonly stdout: Readable;
  /** Ends it with the signal, or lets it come to its end, and waits for that. */
  end(signal?: NodeJS.Signals): Promise<void>;
}

/** A process that holds the lock. */
async function startHolder(t: Test, file: string, ...more: readonly string[]): Promise<Holder> {
  const program = path.resolve("build/test/fixtures/hold-lock.js");
  return untilHeld(t, spawn(process.execPath, [program, file, ...more], { detached: true }));
}

/** Another program of the system that locks the file, and writes nothing into it. */
async function startStranger(t: Test, file: string): Promise<Holder> {
  return untilHeld(t, spawn("sh", ["-c", 'exec flock --no-fork "$0" sh -c "echo held && exec cat"', file]));
}

async function untilHeld(t: Test, child: ChildProcess): Promise<Holder> {
  const ended = once(child, "close");
  const holder: Holder = {
    pid: child.pid ?? 0,
    stdout: child.stdout!,
    end: async (signal) => {
      if (signal === undefined) child.stdin!.end();
      else child.kill(signal);
      await ended;
    },
  };
  t.teardown(() => holder.end("SIGKILL"));
  await said(holder, "held");
  return holder;
}

async function said(holder: Holder, word: string): Promise<void> {
  let text = "";
  for await (const piece of holder.stdout.iterator({ destroyOnReturn: false })) {
    text += String(piece);
    if (text.includes(word)) return;
  }
  throw new Error(`it ended without saying ${word}: ${text}`);
}

t.test("one owner at a time, in one process and between processes", async (t) => {
  const file = path.join(scratch(t), "lock");
  const order: string[] = [];
  const work = async (): Promise<void> => {
    order.push("in");
    await new Promise((resolve) => setTimeout(resolve, 20));
    order.push("out");
  };
  await Promise.all([1, 2, 3].map(() => withFileLock(at(file), work)));
  t.same(order, ["in", "out", "in", "out", "in", "out"]);
  await t.rejects(
    withFileLock(at(file), () => Promise.reject(new Error("inside"))),
    { message: "inside" },
  );
  t.equal(await withFileLock(now(file), () => Promise.resolve("free again")), "free again");
  t.equal(readFileSync(file, "utf8"), "", "who has released it is not named any more");
});

t.test("who holds a lock is known, and a wait may have a limit", async (t) => {
  const file = path.join(scratch(t), "lock");
  const holder = await startHolder(t, file);
  for (const waitMs of [0, 50]) {
    await t.rejects(withFileLock(at(file, { waitMs }), nothing), {
      code: "FILE_LOCK_HELD",
      message: new RegExp(`^process ${holder.pid} \\(a test, since 2.*Z\\) holds ${file}$`),
      hint: /wait until it has ended/,
      data: { file, owner: { pid: holder.pid, purpose: "a test" } },
    });
  }
  await holder.end();
  await withFileLock(now(file), () => {
    t.match(JSON.parse(readFileSync(file, "utf8")), {
      kind: "cui file lock",
      format: 1,
      pid: process.pid,
      startTime: /^\d+$/,
      bootId: /^[0-9a-f-]{36}$/,
      purpose: "this test",
      since: /^2.*Z$/,
    });
    return nothing();
  });
});

t.test("a killed owner is not waited for", async (t) => {
  for (const kind of ["kept", "removed"]) {
    const file = path.join(scratch(t), "lock");
    const killed = await startHolder(t, file, kind);
    const waiting = await startWaiter(file);
    await killed.end("SIGKILL");
    await waiting.ended;
    const again = await startHolder(t, file, kind);
    await again.end("SIGKILL");
    t.match(readFileSync(file, "utf8"), new RegExp(`"pid":${again.pid},`), "its record is left behind");
    const isRemoved = kind === "removed";
    await withFileLock(at(file, { waitMs: 0, isRemoved }), () => {
      t.match(readFileSync(file, "utf8"), new RegExp(`"pid":${process.pid},`));
      return nothing();
    });
    t.equal(existsSync(file), !isRemoved);
  }
});

/** Resolves when it certainly waits. */
async function startWaiter(file: string): Promise<{ readonly ended: Promise<void> }> {
  return new Promise((resolve) => {
    const onWait = (): void => {
      resolve({ ended });
    };
    const ended = withFileLock(at(file, { onWait }), nothing);
  });
}

t.test("whoever waits is told once for whom", async (t) => {
  const file = path.join(scratch(t), "lock");
  const holder = await startHolder(t, file);
  const messages: string[] = [];
  await new Promise<void>((resolve) => {
    const onWait = (message: string): void => {
      messages.push(message);
      void holder.end();
    };
    void withFileLock(at(file, { onWait }), nothing).then(resolve);
  });
  t.match(messages, [/^waiting for process \d+ \(a test, since 2.*Z\), which holds .*lock$/]);
  t.match(messages[0], `process ${holder.pid} `);
  await withFileLock(at(file, { onWait: (message) => messages.push(message) }), nothing);
  t.equal(messages.length, 1, "a free lock is no news");
});

t.test("nobody is named who is not the one that lives", async (t) => {
  const folder = scratch(t);
  const self = identifySelf();
  const gone = spawn("true");
  await once(gone, "close");
  const record = (change: object): string =>
    JSON.stringify({ kind: "cui file lock", format: 1, ...self, purpose: "x", since: "then", ...change });
  const cases: Readonly<Record<string, [record: string, named: RegExp]>> = {
    "the process itself": [record({}), new RegExp(`^process ${process.pid} \\(x, since then\\) holds`)],
    "a later process of the same id": [record({ startTime: "1" }), /^another process holds/],
    "one of before the last boot": [record({ bootId: "0".repeat(36) }), /^another process holds/],
    "one that has ended": [record({ pid: gone.pid }), /^another process holds/],
    "a later format": [record({ format: 2 }), /^another process holds/],
    "a damaged record": [record({}).slice(0, 90), /^another process holds/],
    "a record that is none": [record({ pid: String(process.pid) }), /^another process holds/],
    "what would move the cursor": [record({ purpose: "\u001b[2J" }), /^process \d+ \(\ufffd\[2J, since/],
  };
  for (const [name, [text, named]] of Object.entries(cases)) {
    const file = path.join(folder, "lock");
    writeFileSync(file, text);
    const stranger = await startStranger(t, file);
    await t.rejects(withFileLock(now(file), nothing), { code: "FILE_LOCK_HELD", message: named }, name);
    await stranger.end();
    await withFileLock(now(file), nothing);
    t.equal(readFileSync(file, "utf8"), "", `${name}: written over when nobody holds the lock`);
  }
});

t.test("the end of a wait, and no end of a lock: aborting, Ctrl-C", async (t) => {
  const file = path.join(scratch(t), "lock");
  const holder = await startHolder(t, file);
  const controller = new AbortController();
  const onWait = (): void => {
    controller.abort(new Error("enough"));
  };
  await t.rejects(withFileLock(at(file, { signal: controller.signal, onWait }), nothing), {
    message: "enough",
  });
  await t.rejects(withFileLock(at(file, { signal: controller.signal }), nothing), { message: "enough" });
  process.kill(-holder.pid, "SIGINT"); // as a terminal does it: to everything that belongs to the command
  await said(holder, "still");
  await t.rejects(withFileLock(now(file), nothing), { code: "FILE_LOCK_HELD" });
  await holder.end();

  const later = new AbortController();
  await withFileLock(at(file, { signal: later.signal }), async () => {
    later.abort();
    await t.rejects(withFileLock(now(file), nothing), { code: "FILE_LOCK_HELD" });
  });
});

t.test("a lock that takes its file with it still keeps others out", async (t) => {
  const folder = scratch(t);
  const [lock, counter] = [path.join(folder, "lock"), path.join(folder, "counter")];
  writeFileSync(counter, "0");
  const program = path.resolve("build/test/fixtures/count-under-lock.js");
  const count = (): Promise<string> =>
    run({ file: process.execPath, args: [program, lock, counter, "25"], timeoutMs: PATIENCE_MS });
  await Promise.all([count(), count(), count(), count()]);
  t.equal(readFileSync(counter, "utf8"), "100");
  t.notOk(existsSync(lock));

  const first = await takeFileLock(at(lock, { isRemoved: true }));
  first.release();
  const second = await takeFileLock(at(lock, { isRemoved: true }));
  first.release();
  t.ok(existsSync(lock), "a second release takes nothing from the next owner");
  second.release();
});

t.test("a file that others replace again and again is given up", async (t) => {
  const file = path.join(scratch(t), "lock");
  let isOver = false;
  const replace = (): void => {
    if (isOver) return;
    writeFileSync(`${file}.new`, "");
    renameSync(`${file}.new`, file);
    setImmediate(replace);
  };
  replace();
  await t.rejects(withFileLock(at(file), nothing), {
    code: "FILE_LOCK_UNUSABLE",
    message: /was replaced 250 times/,
  });
  isOver = true;
});

t.test("what is not cui's is neither followed, nor written, nor removed", async (t) => {
  const folder = scratch(t);
  const file = path.join(folder, "lock");
  const precious = path.join(folder, "precious");
  const refused = async (message: RegExp): Promise<void> => {
    const before = lstatSync(file);
    for (const isRemoved of [true, false]) {
      await t.rejects(withFileLock(at(file, { isRemoved, waitMs: 0 }), nothing), {
        code: "FILE_LOCK_UNUSABLE",
        message,
        hint: /move the file away/,
      });
    }
    const { ino, mtimeMs, size } = lstatSync(file);
    t.same({ ino, mtimeMs, size }, { ino: before.ino, mtimeMs: before.mtimeMs, size: before.size });
    rmSync(file, { recursive: true });
  };
  for (const content of ["precious", ""]) {
    writeFileSync(precious, content);
    symlinkSync(precious, file);
    await refused(/is a symbolic link/);
    t.equal(readFileSync(precious, "utf8"), content);
  }
  symlinkSync(path.join(folder, "nothing"), file);
  await refused(/is a symbolic link/);
  t.notOk(existsSync(path.join(folder, "nothing")));
  mkdirSync(file);
  await refused(/no regular file/);
  await run({ file: "mkfifo", args: [file] });
  await refused(/no regular file/);
  for (const content of ["a b c\n", '{"kind":"another"}', "\0\0x", "x".repeat(10_000)]) {
    writeFileSync(file, content);
    await refused(/something else is in it/);
  }
  for (const content of ["", '{"kind":"cui fi', '{"kind":"cui file lock","form', "\0".repeat(200)]) {
    writeFileSync(file, content);
    await withFileLock(now(file), nothing);
    t.equal(readFileSync(file, "utf8"), "", "cut off by a crash, it is no obstacle");
  }
});

t.test("a folder that is not there, or cannot be written, is told as such", async (t) => {
  const refused = (file: string, message: RegExp): Promise<unknown> =>
    t.rejects(withFileLock(at(file), nothing), { code: "FILE_LOCK_UNUSABLE", message, hint: /writable/ });
  const folder = scratch(t);
  await refused(path.join(folder, "no", "lock"), /its folder is not there/);
  writeFileSync(path.join(folder, "file"), "");
  await refused(path.join(folder, "file", "lock"), /its folder is not a folder/);
  await refused(path.join(folder, "x".repeat(300)), /name too long/i);
  await asSomebody(t, folder, async () => {
    await refused("lock", /permission denied/);
  });
});

t.test("a lock file of another user, which can only be read, keeps others out all the same", async (t) => {
  const folder = scratch(t);
  const file = path.join(folder, "lock");
  await withFileLock(at(file, { mode: 0o604 }), nothing);
  t.equal(lstatSync(file).mode & 0o777, 0o604);
  chmodSync(file, 0o444);
  await asSomebody(t, folder, async () => {
    await withFileLock(now("lock"), async () => {
      await t.rejects(withFileLock(now("lock"), nothing), {
        code: "FILE_LOCK_HELD",
        message: /^another process holds/,
      });
    });
  });
  chmodSync(file, 0o666);
  await asSomebody(t, folder, () => withFileLock(at("lock", { isRemoved: true }), nothing));
  t.equal(readFileSync(file, "utf8"), "", "where it cannot be removed, it stays, and names nobody");
});

/** Runs `work` in the folder, which can then be read and not written. */
async function asSomebody(t: Test, folder: string, work: () => Promise<void>): Promise<void> {
  const before = process.cwd();
  const isRoot = process.geteuid?.() === 0;
  chmodSync(folder, 0o555);
  process.chdir(folder);
  if (isRoot) process.seteuid?.(NOBODY);
  try {
    await work();
  } finally {
    if (isRoot) process.seteuid?.(0);
    process.chdir(before);
    chmodSync(folder, 0o755);
    t.equal(process.cwd(), before);
  }
}

t.test("a command is run when nobody holds the lock, else not", async (t) => {
  const folder = scratch(t);
  const file = path.join(folder, "lock");
  const out = path.join(folder, "out");
  const command = { file: "cp", args: [file, out] };
  const holder = await startHolder(t, file);
  t.equal(await runIfUnlocked(at(file), command), false);
  t.notOk(existsSync(out));
  await holder.end("SIGKILL");
  t.equal(await runIfUnlocked(at(file), command), true);
  t.match(readFileSync(out, "utf8"), `"pid":${process.pid},`, "it ran under the lock");
  await t.rejects(runIfUnlocked(at(file), { file: "false", args: [] }), { code: "PROCESS_FAILED" });
  t.equal(await runIfUnlocked(at(file), command), true, "a failure releases it");
});

t.test("without the program flock nothing is done, and the error says so", async (t) => {
  const file = path.join(scratch(t), "lock");
  const before = process.env["PATH"];
  process.env["PATH"] = path.dirname(file);
  t.teardown(() => {
    process.env["PATH"] = before;
  });
  const work = (): Promise<void> => {
    throw new Error("must not run");
  };
  await t.rejects(withFileLock(at(file), work), { code: "PROCESS_MISSING", message: /program flock/ });
});
