/** Where a user's file is written, what is there decides: devices, pipes, folders and other people's files stay. */
import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type Test } from "tap";
import { run } from "../src/io.ts";
import {
  checkOutputFile,
  removeSocket,
  requireAbsent,
  rewriteFile,
  writeOutputFile,
} from "../src/user-file.ts";

const KIND = { name: "a list", isOurs: (content: Buffer) => String(content).startsWith("list") };

/** A socket's path is short. */
async function shortFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), "cui-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Everything that is no regular file, each in a folder of its own; a device only root can make, so a link to one. */
async function oddThings(t: Test): Promise<Record<string, string>> {
  const folder = await shortFolder(t);
  await mkdir(path.join(folder, "folder"));
  const at = (name: string): string => path.join(folder, name);
  await run({ file: "mkfifo", args: [at("pipe")] });
  await symlink("/dev/null", at("device"));
  await symlink(at("pipe"), at("link to a pipe"));
  await symlink(at("folder"), at("link to a folder"));
  await symlink(at("nothing"), at("link to nothing"));
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(at("socket"), resolve));
  t.teardown(() => new Promise((resolve) => server.close(resolve)));
  const names = [
    "folder",
    "pipe",
    "device",
    "socket",
    "link to a pipe",
    "link to a folder",
    "link to nothing",
  ];
  return { "/dev/null": "/dev/null", ...Object.fromEntries(names.map((name) => [name, at(name)])) };
}

test("what is no regular file is refused before and while writing, and stays", async (t) => {
  for (const [name, file] of Object.entries(await oddThings(t))) {
    const before = await lstat(file);
    const refused = { code: "FILE_NOT_REGULAR" };
    await t.rejects(checkOutputFile(file, KIND), refused, name);
    await t.rejects(writeOutputFile(file, "list 2\n", KIND), refused, name);
    await t.rejects(rewriteFile(file, "list 2\n"), refused, name);
    await t.rejects(requireAbsent(file), { code: "FILE_EXISTS" }, name);
    const after = await lstat(file);
    t.same([after.ino, after.mode, after.dev], [before.ino, before.mode, before.dev], `${name} stays`);
  }
  t.ok((await stat("/dev/null")).isCharacterDevice());
});

test("a file of another kind is left alone; one of ours, an empty one and none are written", async (t) => {
  const folder = t.testdir({ other: "precious", ours: "list 1\n", empty: "" });
  const at = (name: string): string => path.join(folder, name);
  await symlink("other", at("link"));
  for (const name of ["other", "link"]) {
    await t.rejects(writeOutputFile(at(name), "list 2\n", KIND), {
      code: "FILE_EXISTS",
      message: `${at(name)} is there and is not a list`,
    });
  }
  t.equal(await readFile(at("other"), "utf8"), "precious");
  for (const name of ["ours", "empty", "new"]) {
    await writeOutputFile(at(name), "list 2\n", KIND);
    t.equal(await readFile(at(name), "utf8"), "list 2\n", name);
  }
  await t.rejects(writeOutputFile(at("missing/list"), "list\n", KIND), {
    code: "ENOENT",
    path: at("missing/list"),
  });
});

test("a rewritten file keeps its mode, its owner and the link that leads to it", async (t) => {
  const folder = t.testdir({ real: { file: "before" } });
  const [file, link] = [path.join(folder, "real/file"), path.join(folder, "link")];
  await chmod(file, 0o2640);
  const isRoot = process.getuid?.() === 0;
  if (isRoot) await chown(file, 1234, 2345);
  if (isRoot) await chmod(file, 0o2640); // a new owner takes the set-group-ID bit away
  const { uid, gid } = await stat(file);
  await symlink("real/file", link);
  await rewriteFile(link, "after");
  t.equal(await readlink(link), "real/file");
  t.equal(await readFile(file, "utf8"), "after");
  const after = await stat(file);
  t.same([after.mode & 0o7777, after.uid, after.gid], [0o2640, uid, gid]);
  await rewriteFile(path.join(folder, "new"), "x", { mode: 0o600 });
  t.equal((await stat(path.join(folder, "new"))).mode & 0o777, 0o600);
});

test("only a socket makes room for a socket", async (t) => {
  const folder = await shortFolder(t);
  const socket = path.join(folder, "socket");
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  t.teardown(() => new Promise((resolve) => server.close(resolve)));
  await removeSocket(socket);
  await removeSocket(socket);
  await t.rejects(lstat(socket), { code: "ENOENT" });
  await mkdir(path.join(folder, "folder"));
  await writeFile(path.join(folder, "file"), "precious");
  for (const file of ["/dev/null", path.join(folder, "file"), path.join(folder, "folder")])
    await t.rejects(removeSocket(file), { code: "FILE_EXISTS" }, file);
});
