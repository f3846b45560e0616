/** What a file system refuses is one line, and only files are read as files. */
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, rmdirSync, statSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rmdir, writeFile } from "node:fs/promises";
import path from "node:path";
import t from "tap";
import { runCli } from "../src/cli/main.ts";
import { asFileError } from "../src/file-errors.ts";
import { run, writeFileAtomically } from "../src/io.ts";
import { readRegularFile } from "../src/regular-file.ts";

/** The lines a command prints on standard error. */
async function complaints(cwd: string, args: readonly string[], env: Readonly<Record<string, string>>) {
  const lines: string[] = [];
  const status = await runCli(args, {
    cwd,
    env: { PATH: process.env["PATH"], HOME: cwd, ...env },
    startedAtMs: 0,
    isTerminal: false,
    print: () => undefined,
    warn: (text) => void lines.push(...text.split("\n")),
  });
  return { status, lines };
}

t.test("the file system's reasons", async (t) => {
  const folder = t.testdir({ file: "", full: { inside: "" } });
  const at = (name: string): string => path.join(folder, name);
  symlinkSync("loop", at("loop"));
  const provoked: readonly (readonly [work: () => Promise<unknown>, message: string])[] = [
    [() => open(at("none")), `cannot open ${at("none")}: no such file or directory (ENOENT)`],
    [() => open(at("file/x")), `cannot open ${at("file/x")}: not a directory (ENOTDIR)`],
    [() => open(at("full"), "w"), `cannot open ${at("full")}: is a directory (EISDIR)`],
    [() => readFile(at("full")), "cannot read: is a directory (EISDIR)"],
    [() => mkdir(at("file")), `cannot create the folder ${at("file")}: file exists (EEXIST)`],
    [() => rmdir(at("full")), `cannot remove ${at("full")}: directory not empty (ENOTEMPTY)`],
    [() => readdir(at("file")), `cannot list ${at("file")}: not a directory (ENOTDIR)`],
    [() => open(at("loop")), `cannot open ${at("loop")}: too many levels of symbolic links (ELOOP)`],
    [
      () => mkdir(at("n".repeat(300))),
      `cannot create the folder ${at("n".repeat(300))}: file name too long (ENAMETOOLONG)`,
    ],
    [
      () => rename(at("file"), at("full")),
      `cannot rename ${at("file")} to ${at("full")}: is a directory (EISDIR)`,
    ],
    [() => writeFile("/dev/full", "x"), "cannot write: no space left on device (ENOSPC)"],
    [
      () => rename(at("file"), "/dev/shm/x"),
      `cannot rename ${at("file")} to /dev/shm/x: cross-device link (EXDEV)`,
    ],
  ];
  for (const [work, message] of provoked) {
    const told = asFileError(await work().catch((error: unknown) => error));
    t.match(told, { code: "FILE_SYSTEM_FAILED", message }, message);
    t.ok(told?.hint);
  }
  t.equal(asFileError(new TypeError("of ours")), undefined);
  t.equal(
    asFileError(Object.assign(new Error("connect"), { code: "EACCES", syscall: "connect" })),
    undefined,
  );
});

t.test("commands say so in a line and a hint, whatever is in their way", async (t) => {
  const folder = t.testdir({ file: "", site: { "utility.yaml": "format: 1\nvlans: [5]\n" } });
  const site = path.join(folder, "site");
  const file = path.join(folder, "file");
  writeFileSync(
    path.join(site, "P.cvl"),
    'CVL = "0.8";\nimport { url => "../r", cvl => "D.cvl" } D;\nP extends D { }\n',
  );
  const name = "n".repeat(300);
  for (const [args, env, message] of [
    [["eval", "P.cvl", "name"], { XDG_CACHE_HOME: file }, /: not a directory \(ENOTDIR\)$/],
    [["create", path.join(folder, name)], {}, /: file name too long \(ENAMETOOLONG\)$/],
    [["create", path.join(file, "x")], {}, /: (not a directory \(ENOTDIR\)|file exists \(EEXIST\))$/],
  ] as const) {
    const { status, lines } = await complaints(site, args, env);
    t.equal(status, 1);
    t.match(lines, [/^error FILE_SYSTEM_FAILED: cannot /, /^ {2}hint: /], args.join(" ").slice(0, 80));
    t.match(lines[0], message);
    t.equal(lines.length, 2, "no stack");
  }
  const long = path.join(folder, "n".repeat(255));
  t.match(await complaints(site, ["create", long], {}), { status: 0 }, "the longest name is one");
});

t.test("a process whose folder is gone", (t) => {
  const folder = t.testdir();
  const cui = path.resolve("src/cli/cui.ts");
  const gone = path.join(folder, "gone");
  mkdirSync(gone);
  const script = `cd ${gone} && rmdir ${gone} && exec ${process.execPath} ${cui} check`;
  const { status, stderr } = spawnSync("sh", ["-c", script], { encoding: "utf8" });
  t.equal(status, 1);
  t.match(
    stderr,
    /^error FILE_SYSTEM_FAILED: cannot find the working folder: no such file or directory \(ENOENT\)\n {2}hint: /,
  );
  t.end();
});

t.test("a program that cannot be started says why", async (t) => {
  const folder = t.testdir({ program: "#!/bin/sh\n" });
  chmodSync(path.join(folder, "program"), 0o644);
  await t.rejects(run({ file: path.join(folder, "program"), args: [] }), {
    code: "PROCESS_FAILED",
    message: /^program cannot be started: .*EACCES/,
  });
});

t.test("only regular files are read", async (t) => {
  const folder = t.testdir({ file: "text", folder: {} });
  const at = (name: string): string => path.join(folder, name);
  execFileSync("mkfifo", [at("pipe")]);
  symlinkSync("file", at("link"));
  symlinkSync("pipe", at("link-to-pipe"));
  t.equal(String(await readRegularFile(at("link"))), "text", "links are followed");
  for (const [file, kind] of [
    [at("pipe"), "a named pipe (FIFO)"],
    [at("link-to-pipe"), "a named pipe (FIFO)"],
    [at("folder"), "a directory"],
    ["/dev/zero", "a character device"],
  ] as const) {
    await t.rejects(readRegularFile(file), {
      code: "FILE_NOT_REGULAR",
      message: `${file} is ${kind}, not a regular file`,
    });
  }
  await t.rejects(readRegularFile(at("none")), { code: "ENOENT" });
  truncateSync(at("file"), 2000);
  await t.rejects(readRegularFile(at("file"), { maxBytes: 1999 }), { code: "FILE_TOO_LARGE" });

  // Each waits for ever where it opens the pipe.
  execFileSync("mkfifo", [at("pipe.cvl"), at("utility.yaml")]);
  for (const args of [
    ["check", "pipe.cvl"],
    ["fmt", "pipe.cvl"],
    ["eval", "pipe.cvl"],
    ["eval", "/dev/zero"],
    ["fmt", "/dev/zero"],
    ["plan", "pipe.cvl"],
    ["disk", "add", "pipe.cvl"],
    ["disk", "show", "--textconv", "pipe"],
    ["serve", ".", "--tokens", "pipe", "--private"],
    ["serve", ".", "--tls-cert", "pipe", "--tls-key", "file"],
    ["host", "list"],
  ]) {
    const { status, lines } = await complaints(folder, args, {});
    t.not(status, 0, args.join(" "));
    t.notMatch(lines.join("\n"), /internal error/, args.join(" "));
  }
  rmdirSync(at("folder"));
});

t.test("a mode that is asked for is the mode, whatever the umask", async (t) => {
  const folder = t.testdir();
  const before = process.umask(0o077);
  t.teardown(() => process.umask(before));
  await writeFileAtomically(path.join(folder, "read-only"), "x", { mode: 0o444 });
  t.equal(statSync(path.join(folder, "read-only")).mode & 0o777, 0o444);
});
