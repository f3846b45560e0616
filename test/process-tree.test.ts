/** Ending a program ends what it started: after a time limit, a signal, and with this process. */
import { spawn, spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import path from "node:path";
import t, { type Test } from "tap";
import { run, startProgram } from "../src/io.ts";
import { gitAt, until, writeFiles } from "./git/git-fixture.ts";

interface FoundProcess {
  readonly pid: number;
  readonly line: string;
}

/** Processes that have this among their arguments. */
function processesWith(argument: string): readonly FoundProcess[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => Number.isSafeInteger(pid) && pid !== process.pid)
    .map((pid) => ({ pid, line: commandLine(pid) }))
    .filter(({ line }) => line.includes(argument) && !line.startsWith("sh -c"));
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ");
  } catch {
    return ""; // it ended
  }
}

/** A duration that no other process sleeps. */
const someSeconds = (): string => `${randomInt(100_000, 999_999)}.${randomInt(100_000, 999_999)}`;

/** A server that takes connections and says nothing. */
async function serveNothing(t: Test): Promise<string> {
  const server = createServer(() => undefined);
  const sockets = new Set<{ destroy(): void }>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
  });
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/DNS`;
}

t.test("a time limit ends what holds the pipe, too", async (t) => {
  const seconds = someSeconds();
  const script = `sleep ${seconds} & sleep ${seconds} & wait`;
  await t.rejects(run({ file: "sh", args: ["-c", script], timeoutMs: 300 }), { code: "PROCESS_TIMED_OUT" });
  await until(() => processesWith(seconds).length === 0);
});

t.test("what ignores the first signal gets the last one", async (t) => {
  const seconds = someSeconds();
  const script = `trap '' TERM; sleep ${seconds} & while :; do sleep 0.2; done`;
  await t.rejects(run({ file: "sh", args: ["-c", script], timeoutMs: 300 }), { code: "PROCESS_TIMED_OUT" });
  await until(() => processesWith(seconds).length === 0);
});

t.test("how the program takes it is no answer", async (t) => {
  const command = {
    file: "sh",
    args: ["-c", "trap 'exit 3' TERM; sleep 1000 & wait"],
    allowedExitCodes: [3],
  };
  await t.rejects(run({ ...command, timeoutMs: 300 }), { code: "PROCESS_TIMED_OUT" });
  const controller = new AbortController();
  const ended = run({ ...command, signal: controller.signal });
  setTimeout(() => {
    controller.abort();
  }, 300);
  await t.rejects(ended, { code: "PROCESS_FAILED", message: /ended by SIGTERM/ });
  await t.rejects(
    run({ ...command, signal: controller.signal }),
    { code: "PROCESS_FAILED" },
    "not even begun",
  );
});

t.test("git and its helper at a silent server", async (t) => {
  const url = await serveNothing(t);
  const folder = t.testdir({});
  const ls = { args: ["ls-remote", url] };
  await t.rejects(gitAt(folder).run({ ...ls, timeoutMs: 1000 }), { code: "PROCESS_TIMED_OUT" });
  await until(() => processesWith(url).length === 0);
  const controller = new AbortController();
  const status = gitAt(folder).until(controller.signal).status(ls);
  status.catch(() => undefined);
  await until(() => processesWith(url).some(({ line }) => line.includes("remote-http")));
  controller.abort();
  await t.rejects(status, { code: "PROCESS_FAILED" });
  await until(() => processesWith(url).length === 0);
});

t.test("what has a session of its own is left alone", async (t) => {
  const seconds = someSeconds();
  const script = `setsid sleep ${seconds} > /dev/null 2>&1 & sleep 1000`;
  await t.rejects(run({ file: "sh", args: ["-c", script], timeoutMs: 1000 }), { code: "PROCESS_TIMED_OUT" });
  const [left, ...others] = processesWith(seconds);
  t.equal(others.length, 0);
  if (left !== undefined) process.kill(left.pid);
  await until(() => processesWith(seconds).length === 0);
});

t.test("a program that is talked to ends with its own", async () => {
  const seconds = someSeconds();
  const program = startProgram({ file: "sh", args: ["-c", `sleep ${seconds} & sleep ${seconds} & wait`] });
  await until(() => processesWith(seconds).length === 2);
  program.kill();
  await program.ended;
  await until(() => processesWith(seconds).length === 0);
});

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
  t.test(`cui that gets ${signal} leaves nothing behind`, async (t) => {
    const url = await serveNothing(t);
    const folder = t.testdir({});
    writeFiles(folder, {
      "office.cvl": `import { url => "${url}", cvl => "DNS.cvl" } DNS;\nO extends DNS { }\n`,
    });
    const cui = spawn(process.execPath, [path.resolve("dist/cui.js"), "lock", "office.cvl"], {
      cwd: folder,
      env: { ...process.env, XDG_CACHE_HOME: path.join(folder, ".cache") },
      stdio: "ignore",
    });
    const ended = new Promise((resolve) =>
      cui.on("exit", (_, by) => {
        resolve(by);
      }),
    );
    await until(() => processesWith(url).some(({ line }) => line.includes("remote-http")));
    cui.kill(signal);
    t.equal(await ended, signal);
    await until(() => processesWith(url).length === 0);
  });
}

t.test("who listens to the signal decides", async (t) => {
  const file = path.join(t.testdir({}), "listen.ts");
  const seconds = `2.${randomInt(100_000, 999_999)}`;
  writeFiles(path.dirname(file), {
    "listen.ts": `import { run } from ${JSON.stringify(path.resolve("src/io.ts"))};
      process.once("SIGTERM", () => process.stdout.write("heard"));
      await run({ file: "sh", args: ["-c", "sleep ${seconds}; echo done"], parse: (text) => process.stdout.write(text) });`,
  });
  const child = spawn(process.execPath, [file], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
  const ended = new Promise((resolve) => child.on("close", resolve));
  await until(() => processesWith(seconds).length > 0);
  child.kill("SIGTERM");
  t.equal(await ended, 0);
  t.equal(said, "hearddone\n");
});

t.test("a program asks on the terminal of its caller", (t) => {
  const child = `import { run } from ${JSON.stringify(path.resolve("src/io.ts"))};
    const answer = await run({ file: "sh", args: ["-c", "printf 'Passphrase: ' > /dev/tty; read -r line < /dev/tty; echo $line"] });
    process.stdout.write("got " + answer);`;
  const file = path.join(t.testdir({}), "ask.ts");
  writeFiles(path.dirname(file), { "ask.ts": child });
  const command = [process.execPath, file].map((word) => `'${word}'`).join(" ");
  const { stdout } = spawnSync("script", ["-qec", command, "/dev/null"], {
    input: "open sesame\n",
    encoding: "utf8",
    timeout: 120_000,
  });
  t.match(stdout, /got open sesame/);
  t.end();
});
