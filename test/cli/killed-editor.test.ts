/** Commands that edit utility.yaml, each a process of its own: killed in the middle, and several at once. */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import t, { type Test } from "tap";

const CUI = path.resolve("dist/cui.js");

/** Loaded into a command, it stops it where it would put the new utility.yaml in its place. */
const STOPPING = `
const files = require("node:fs/promises");
const { rename } = files;
files.rename = (from, to) => {
  if (!to.endsWith("/utility.yaml")) return rename(from, to);
  console.log("about to write");
  setInterval(() => undefined, 1000);
  return new Promise(() => undefined);
};
require("node:module").syncBuiltinESMExports();
`;

interface Shell {
  readonly site: string;
  readonly lock: string;
  start(line: string, env?: Readonly<Record<string, string>>): Running;
}

interface Running {
  readonly child: ChildProcess;
  readonly output: () => string;
  /** Resolves when the output has this. */
  says(text: string): Promise<void>;
  readonly status: Promise<number | null>;
}

function openSite(t: Test): Shell {
  const folder = mkdtempSync(path.join(tmpdir(), "cui-edit-"));
  const site = path.join(folder, "site");
  execFileSync("git", ["init", "--quiet", site]);
  writeFileSync(path.join(site, "utility.yaml"), "format: 1\n");
  const running: Running[] = [];
  t.teardown(async () => {
    for (const { child } of running) child.kill("SIGKILL");
    await Promise.all(running.map(({ status }) => status));
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    site,
    lock: path.join(site, ".utility.yaml.lock"),
    start: (line, more = {}) => {
      const env = { ...process.env, CUI_STATE: path.join(folder, "state.git"), ...more };
      const started = watch(spawn(process.execPath, [CUI, ...line.split(" ")], { cwd: site, env }));
      running.push(started);
      return started;
    },
  };
}

function watch(child: ChildProcess): Running {
  let text = "";
  const look = new Set<() => void>();
  const hear = (piece: Buffer): void => {
    text += piece.toString();
    for (const looks of look) looks();
  };
  child.stdout!.on("data", hear);
  child.stderr!.on("data", hear);
  const status = once(child, "close").then(([code]) => code as number | null);
  const says = (wanted: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const looks = (): void => {
        if (text.includes(wanted)) resolve();
      };
      look.add(looks);
      looks();
      void status.then(() => {
        reject(new Error(`it ended without ${wanted}: ${text}`));
      });
    });
  return { child, output: () => text, says, status };
}

/** A command that stands still while it holds the lock. */
async function stopInTheMiddle(shell: Shell, line: string): Promise<Running> {
  const preload = path.join(path.dirname(shell.site), "stop.cjs");
  writeFileSync(preload, STOPPING);
  const stopped = shell.start(line, { NODE_OPTIONS: `--require=${preload}` });
  await stopped.says("about to write");
  return stopped;
}

async function kill({ child, status }: Running): Promise<void> {
  child.kill("SIGKILL");
  await status;
}

const EDITS = ["vlan add 100", "host add h1 unix:/run/h1.sock --memory 1GiB --arch x86_64"];

for (const edit of EDITS) {
  t.test(`cui ${edit}, killed in the middle: the next command works`, async (t) => {
    const shell = openSite(t);
    await kill(await stopInTheMiddle(shell, edit));
    t.equal(readFileSync(path.join(shell.site, "utility.yaml"), "utf8"), "format: 1\n");
    t.ok(existsSync(shell.lock), "it left its lock behind");
    for (const line of [edit, "vlan add 200"]) {
      const next = shell.start(line);
      t.equal(await next.status, 0, next.output());
      t.notMatch(next.output(), /waiting/);
    }
    const text = readFileSync(path.join(shell.site, "utility.yaml"), "utf8");
    t.match(text, edit.includes("vlan") ? /100/ : /h1/);
    t.match(text, /200/);
    t.notOk(existsSync(shell.lock), "and the next one took it away");
  });
}

t.test("a command that waits for a living one says for whom, and goes on when that is killed", async (t) => {
  const shell = openSite(t);
  const stopped = await stopInTheMiddle(shell, "vlan add 100");
  const waiting = shell.start("vlan add 200");
  await waiting.says(`waiting for process ${stopped.child.pid ?? 0} (editing utility.yaml, since `);
  await kill(stopped);
  t.equal(await waiting.status, 0, waiting.output());
  t.match(readFileSync(path.join(shell.site, "utility.yaml"), "utf8"), /200/);
});

t.test("commands at the same time all arrive, and leave nothing but the file", async (t) => {
  const shell = openSite(t);
  const tags = [101, 102, 103, 104];
  const running = tags.map((tag) => shell.start(`vlan add ${tag}`));
  for (const command of running) t.equal(await command.status, 0, command.output());
  const text = readFileSync(path.join(shell.site, "utility.yaml"), "utf8");
  for (const tag of tags) t.match(text, String(tag));
  t.same(readdirSync(shell.site).sort(), [".git", "utility.yaml"]);
});
