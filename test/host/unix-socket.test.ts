/** A unix socket's path has at most 107 bytes: told as that, before anything is made. */
import { existsSync } from "node:fs";
import t from "tap";
import { parseHostAddress } from "../../src/host/host-address.ts";
import { runHostDaemon } from "../../src/host/host-daemon.ts";
import { connectUnixSocket } from "../../src/host/unix-socket.ts";

const REFUSED = { code: "HOST_ADDRESS_INVALID", message: /has 1\d\d bytes, at most 107 are possible/ };

t.test("an address", (t) => {
  const longest = `/${"x".repeat(106)}`;
  t.same(parseHostAddress(`unix:${longest}`), { kind: "unix", path: longest });
  for (const bad of [`/${"x".repeat(107)}`, `/${"ä".repeat(54)}`])
    t.throws(() => parseHostAddress(`unix:${bad}`), REFUSED, bad);
  t.end();
});

t.test("a host manager's own, and those it would make for its machines", async (t) => {
  const long = `/tmp/${"x".repeat(110)}`;
  const folders = {
    directory: "/tmp/cui-none-d",
    runDirectory: "/tmp/cui-none-r",
    secretsDirectory: "/tmp/cui-none-s",
  };
  const daemon = {
    ...{ name: "h", bridge: "br-int", libvirtUri: "test:///default", accelerator: "tcg" as const },
    fetchImage: () => Promise.reject(new Error("nothing is fetched")),
  };
  await t.rejects(connectUnixSocket(long), REFUSED);
  await t.rejects(runHostDaemon({ ...daemon, folders, socket: long }), REFUSED);
  const deep = { ...folders, runDirectory: `/tmp/${"x".repeat(90)}` };
  await t.rejects(runHostDaemon({ ...daemon, folders: deep, socket: "/tmp/cui-none.sock" }), REFUSED);
  const made = [long, deep.runDirectory, "/tmp/cui-none.sock", "/tmp/cui-none.sock.lock", folders.directory];
  for (const file of made) t.notOk(existsSync(file), file);
});
