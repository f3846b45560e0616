import { chmod, mkdir, readFile, rmdir, stat, writeFile } from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import t, { type Test } from "tap";
import { connectHost } from "../../src/host/connect-host.ts";
import { parseHostAddress } from "../../src/host/host-address.ts";
import { runHostDaemon, type HostDaemon } from "../../src/host/host-daemon.ts";
import { run, startBackground } from "../../src/io.ts";
import { testHostContract } from "./fixtures/host-contract.ts";
import { hostLab } from "./fixtures/host-lab.ts";
import { eventually } from "./fixtures/traces.ts";

/** What is told at once is told long before. */
const HANGS_MS = 200_000;

const { guest, options, folder } = await hostLab(t);

t.test("over its unix socket", async (t) => {
  const socket = path.join(folder, "socket.sock");
  const daemon = await runHostDaemon({ ...options("socket"), socket });
  t.teardown(() => daemon.close());
  t.equal((await stat(socket)).mode & 0o777, 0o600, "the socket is root's alone");
  await t.rejects(runHostDaemon({ ...options("socket"), socket }), { code: "HOST_SOCKET_IN_USE" });

  const host = await connectHost(`unix:${socket}`);
  await testHostContract(t, { host, guest, networkId: "socket" });
  const waiting = host.awaitReady({ networkId: "socket", component: "g.w" }, 1000);
  await t.rejects(waiting, { code: "HOST_MACHINE_UNKNOWN" });
  await daemon.close();
  await t.rejects(host.describe(), { code: "HOST_UNREACHABLE" }, "a lost connection is told");
});

t.test("of two host managers that begin at once, one runs", async (t) => {
  const socket = path.join(folder, "two.sock");
  const start = (): Promise<HostDaemon> => runHostDaemon({ ...options("two"), socket });
  const results = await Promise.allSettled([start(), start(), start()]);
  const started = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  t.teardown(() => Promise.all(started.map((daemon) => daemon.close())));
  t.equal(started.length, 1);
  t.match(
    results.flatMap((result) => (result.status === "rejected" ? [result.reason as unknown] : [])),
    [{ code: "HOST_SOCKET_IN_USE" }, { code: "HOST_SOCKET_IN_USE" }],
  );
  t.equal((await stat(`${socket}.lock`)).mode & 0o777, 0o600, "only who may read it could lock it");
  const host = await connectHost(`unix:${socket}`);
  t.ok(await host.describe());
  host.close();
  await started[0]?.close();
  await (await start()).close();
});

t.test("over ssh", async (t) => {
  const socket = path.join(folder, "ssh.sock");
  const daemon = await runHostDaemon({ ...options("ssh"), socket });
  t.teardown(() => daemon.close());
  const { port, config } = await startSshd(t, path.join(folder, "sshd"), socket);
  const address = `ssh://root@127.0.0.1:${port}`;
  const host = await connectHost(address, { sshConfig: config });
  t.teardown(() => host.close());
  await testHostContract(t, { host, guest, networkId: "ssh" });

  await daemon.close();
  await t.rejects(connectHost(address, { sshConfig: config }), {
    code: "HOST_UNREACHABLE",
    message: /no host manager answers/,
  });
  const stranger = await writeConfig(path.join(folder, "stranger"), []);
  await t.rejects(
    connectHost(address, { sshConfig: stranger }),
    { code: "HOST_UNREACHABLE" },
    "no key, no prompt",
  );
});

t.test("what cannot be reached is told at once", async (t) => {
  await t.rejects(connectHost("unix:/nonexistent.sock"), { code: "HOST_UNREACHABLE", message: /ENOENT/ });
  const startedAt = Date.now();
  const silent = net.createServer((connection) => connection.resume());
  const socket = path.join(folder, "silent.sock");
  await new Promise<void>((resolve) => silent.listen(socket, resolve));
  t.teardown(() => silent.close());
  await t.rejects(connectHost(`unix:${socket}`, { timeoutMs: 300 }), {
    code: "HOST_UNREACHABLE",
    message: /0\.3 s/,
  });
  for (let round = 0; round < 3; round += 1) {
    const refused = connectHost("ssh://root@127.0.0.1:1", { timeoutMs: HANGS_MS });
    await t.rejects(refused, { code: "HOST_UNREACHABLE", message: /Connection refused/ }, "ssh's own words");
  }
  t.ok(Date.now() - startedAt < HANGS_MS);
});

t.test("an address cannot smuggle options to ssh", (t) => {
  for (const bad of [
    "ssh://-oProxyCommand=x",
    "ssh://-l@h",
    "ssh://h:99999",
    "ssh://a b",
    "ssh://h;id",
    "http://h",
    "unix:relative",
  ]) {
    t.throws(() => parseHostAddress(bad), { code: "HOST_ADDRESS_INVALID" }, bad);
  }
  t.same(parseHostAddress("ssh://root@[fe80::1%eth0]:22"), {
    kind: "ssh",
    user: "root",
    host: "fe80::1%eth0",
    port: 22,
  });
  t.end();
});

t.test("a wire that speaks something else", async (t) => {
  const socket = path.join(folder, "wire.sock");
  const daemon = await runHostDaemon({ ...options("wire"), socket });
  t.teardown(() => daemon.close());
  const talk = (text: string, patienceMs = HANGS_MS): Promise<string> =>
    new Promise((resolve) => {
      let said = "";
      const client = net.createConnection({ path: socket }, () => client.write(text));
      client.on("data", (chunk) => {
        said += chunk.toString();
        client.end();
      });
      client.on("close", () => {
        resolve(said);
      });
      setTimeout(() => client.destroy(), patienceMs).unref();
    });
  const message = (body: object): string => {
    const text = JSON.stringify({ jsonrpc: "2.0", id: 1, ...body });
    return `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
  };
  t.match(
    await talk(message({ method: "hello", params: [{ protocols: [99] }] })),
    /speaks 99.*HOST_PROTOCOL_UNKNOWN/s,
  );
  t.match(
    await talk(message({ method: "inventory", params: [] })),
    /HOST_REQUEST_INVALID/,
    "hello comes first",
  );
  t.match(
    await talk(message({ method: "close", params: [] })),
    /error/,
    "only the contract's calls are there",
  );
  await talk("GET / HTTP/1.1\r\n\r\n", 500);
  await talk("Content-Length: 99999999999999\r\n\r\n", 500);
  const host = await connectHost(`unix:${socket}`);
  t.match(await host.describe(), { protocol: 1 }, "the daemon goes on");
  await host.close();
});

/** A real sshd on loopback that runs `cui host connect` for whoever has the key. */
async function startSshd(t: Test, home: string, socket: string): Promise<{ port: number; config: string }> {
  await mkdir(home, { mode: 0o700 });
  const key = (name: string): Promise<string> =>
    run({ file: "ssh-keygen", args: ["-q", "-t", "ed25519", "-N", "", "-f", path.join(home, name)] });
  await Promise.all([key("host"), key("client")]);
  await writeFile(path.join(home, "authorized"), await readFile(path.join(home, "client.pub")));
  // sshd wants this folder of its package, and has it where it is installed as a service.
  if ((await mkdir("/run/sshd", { recursive: true })) !== undefined) t.teardown(() => rmdir("/run/sshd"));
  const port = await listenSomewhere(t, home, socket);
  return {
    port,
    config: await writeConfig(path.join(home, "client-home"), [`IdentityFile ${path.join(home, "client")}`]),
  };
}

/** The port that sshd got: one that is free now may be taken before sshd asks for it. */
async function listenSomewhere(t: Test, home: string, socket: string): Promise<number> {
  const port = await freePort();
  const cui = `${process.execPath} ${path.resolve("dist/cui.js")} host connect --socket ${socket}`;
  const lines = {
    Port: port,
    ListenAddress: "127.0.0.1",
    HostKey: path.join(home, "host"),
    AuthorizedKeysFile: path.join(home, "authorized"),
    ForceCommand: cui,
    PidFile: path.join(home, "pid"),
    PasswordAuthentication: "no",
    StrictModes: "no",
    UsePAM: "no",
    PermitRootLogin: "yes",
  };
  const file = path.join(home, "sshd_config");
  await writeFile(
    file,
    Object.entries(lines)
      .map(([name, value]) => `${name} ${value}\n`)
      .join(""),
  );
  const sshd = await startBackground({
    file: "/usr/sbin/sshd",
    args: ["-D", "-e", "-f", file],
    logFile: path.join(home, "log"),
    stdin: "ignore",
  });
  const isUp = eventually(() => listens(port));
  if (!(await Promise.race([isUp, sshd.ended.then(() => false)]))) return listenSomewhere(t, home, socket);
  t.teardown(async () => {
    process.kill(sshd.pid);
    await sshd.ended;
  });
  return port;
}

async function writeConfig(folder: string, lines: readonly string[]): Promise<string> {
  await mkdir(folder, { recursive: true });
  const config = path.join(folder, "ssh_config");
  const common = [
    "IdentitiesOnly yes",
    "IdentityAgent none",
    "StrictHostKeyChecking no",
    `UserKnownHostsFile ${path.join(folder, "known_hosts")}`,
    "LogLevel ERROR",
  ];
  await writeFile(config, [...common, ...lines, ""].join("\n"));
  await chmod(config, 0o600);
  return config;
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => {
        resolve(port);
      });
    });
  });
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => {
      resolve(false);
    });
  });
}
