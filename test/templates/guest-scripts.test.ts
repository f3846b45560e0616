/** The guest scripts by themselves, each under dash and under busybox, the two shells guests have. */
import { execFileSync, spawn, spawnSync, type SpawnSyncReturns } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";

const GUEST = path.resolve("templates/guest");
/** By path: a busybox shell would take its own. */
const IP = execFileSync("sh", ["-c", "PATH=$PATH:/usr/sbin:/sbin command -v ip"], { encoding: "utf8" }).trim();
const SHELLS = ["/bin/dash", "/bin/busybox sh"];

/** The scripts installed for one shell, with a run folder and hooks of its own. */
class Guest {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  private readonly shell: string[];

  constructor(t: Test, shell: string) {
    this.folder = t.testdir({});
    this.shell = shell.split(" ");
    execFileSync("sh", [path.join(GUEST, "install.sh"), this.file("root"), "tiny"]);
    for (const directory of [this.file("root/usr/bin"), this.lib]) {
      for (const entry of readdirSync(directory, { withFileTypes: true })) {
        const file = path.join(directory, entry.name);
        if (!entry.isFile()) continue;
        const text = readFileSync(file, "utf8");
        if (text.startsWith("#!/bin/sh\n")) writeFileSync(file, text.replace("#!/bin/sh", `#!${shell}`));
      }
    }
    rmSync(this.file("root/etc/collective"), { recursive: true });
    mkdirSync(this.file("run"));
    this.env = {
      ...process.env,
      COLLECTIVE_LIB: this.lib,
      COLLECTIVE_BIN: this.file("root/usr/bin"),
      COLLECTIVE_RUN: this.file("run"),
      COLLECTIVE_ETC: this.file("root/etc/collective"),
      COLLECTIVE_SYS: this.file("sys"),
      COLLECTIVE_DEV: this.file("dev"),
      PATH: `${this.file("fakes")}:${this.file("root/usr/bin")}:${process.env["PATH"] ?? ""}`,
    };
  }

  get lib(): string {
    return this.file("root/usr/lib/collective");
  }

  file(name: string): string {
    return path.join(this.folder, name);
  }

  write(name: string, content: string, mode = 0o644): void {
    mkdirSync(path.dirname(this.file(name)), { recursive: true });
    writeFileSync(this.file(name), content);
    chmodSync(this.file(name), mode);
  }

  read(name: string): string {
    return readFileSync(this.file(name), "utf8");
  }

  parameters(...lines: string[]): void {
    this.write("run/parameters", lines.map((line) => `${line}\n`).join(""));
  }

  hook(folder: string, name: string, body: string): void {
    this.write(`root/etc/collective/${folder}/${name}`, `#!${this.shell.join(" ")}\n${body}\n`, 0o755);
  }

  /** Runs an installed script. */
  run(script: string, args: readonly string[] = [], input = ""): SpawnSyncReturns<string> {
    const file = existsSync(path.join(this.lib, script))
      ? path.join(this.lib, script)
      : this.file(`root/usr/bin/${script}`);
    return spawnSync(file, args, { env: this.env, input, encoding: "utf8", timeout: 200_000 });
  }

  /** Runs a command line in this guest's shell, inside fresh network and mount namespaces. */
  isolated(commands: string): SpawnSyncReturns<string> {
    const args = ["--net", "--mount", ...this.shell, "-c", commands];
    return spawnSync("unshare", args, { env: this.env, encoding: "utf8", timeout: 200_000 });
  }

  /** A session whose host is this test. */
  session(t: Test): Session {
    return new Session(t, path.join(this.lib, "session"), this.env);
  }
}

class Session {
  text = "";
  private readonly child;

  constructor(t: Test, file: string, env: NodeJS.ProcessEnv) {
    this.child = spawn(file, [], { env, stdio: ["pipe", "pipe", "ignore"] });
    this.child.stdout.setEncoding("utf8").on("data", (part: string) => (this.text += part));
    t.teardown(() => this.child.kill("SIGKILL"));
  }

  send(text: string): void {
    this.child.stdin.write(text);
  }

  /** What the guest said since the last call, once it ends with `line`. */
  async said(line: string): Promise<string[]> {
    for (let tries = 0; !this.text.endsWith(`${line}\n`); tries += 1) {
      if (tries > 10_000) throw new Error(`no ${line}: ${JSON.stringify(this.text)}`);
      await sleep(20);
    }
    const lines = this.text.trimEnd().split("\n");
    this.text = "";
    return lines;
  }

  async end(): Promise<void> {
    const exited = new Promise((resolve) => this.child.once("close", resolve));
    this.child.stdin.end();
    await exited;
  }
}

for (const shell of SHELLS) {
  t.test(`under ${shell}`, (t) => {
    t.test("await-port waits until something listens", (t) => {
      const guest = new Guest(t, shell);
      const serve = (script: string): string => `'${process.execPath}' -e '${script}'`;
      const tcp = serve('net.createServer().listen(81, () => net.connect({ port: 81, localPort: 83 }))');
      const { stdout } = guest.isolated(`
        ip link set lo up
        await-port tcp 81 & tcp=$!
        await-port udp 82 & udp=$!
        await-port neither 1; echo $?
        ${tcp} & server=$!
        wait $tcp; echo tcp $?
        await-port tcp 83 & connection=$!
        sleep 0.5
        kill -0 $connection && echo a connection is no service
        kill -0 $udp && echo nor is one of the other protocol
        ${serve('dgram.createSocket("udp4").bind(82)')} & other=$!
        wait $udp; echo udp $?
        kill $connection $server $other`);
      t.strictSame(stdout.trimEnd().split("\n"), [
        "2",
        "tcp 0",
        "a connection is no service",
        "nor is one of the other protocol",
        "udp 0",
      ]);
      t.end();
    });

    t.test("collective-get prints decoded elements", (t) => {
      const guest = new Guest(t, shell);
      guest.parameters("a=1", "ab=2", "a.b=3", "a=100%25 %C3%A9 ü%0Atwo", "empty=", "odd=%zz%", "a=%00x", "b=a=b\\n");
      t.equal(guest.run("collective-get", ["a"]).stdout, "1\n100% é ü\ntwo\nx\n");
      t.equal(guest.run("collective-get", ["a", "2"]).stdout, "100% é ü\ntwo\n");
      t.equal(guest.run("collective-get", ["a.b"]).stdout, "3\n");
      t.equal(guest.run("collective-get", ["b"]).stdout, "a=b\\n\n");
      t.equal(guest.run("collective-get", ["odd"]).stdout, "%zz%\n");
      t.match(guest.run("collective-get", ["empty"]), { stdout: "\n", status: 0 });
      t.match(guest.run("collective-get", ["nothing"]), { stdout: "", status: 1 });
      t.match(guest.run("collective-get", ["a", "9"]), { stdout: "", status: 1 });
      for (const wrong of [[], ["a b"], ["a", "x"], ['a"; system("id'], ["[a]"]]) {
        t.equal(guest.run("collective-get", wrong).status, 2, JSON.stringify(wrong));
      }
      t.end();
    });

    t.test("collective-map prints the values of keys", (t) => {
      const guest = new Guest(t, shell);
      const map = (keys: string[], input: string): string => guest.run("collective-map", keys, input).stdout;
      t.equal(map(["port", "to", "ip"], "port=80&ip=10%2E0%2E0%2E1\nip=x\n"), "80\t-\t10.0.0.1\n-\t-\tx\n");
      t.equal(map(["k%", "a b"], "k%25=1&a%20b=%C3%BC\n"), "1\tü\n");
      t.equal(map(["v"], "v=a%0Ab%09c%7F\n"), "a%0Ab%09c%7F\n", "a line stays a line");
      const nested = map(["c"], "c=user%3Djoe%26password%3Dp%2525%2526\n");
      t.equal(nested, "user=joe&password=p%25%26\n");
      t.equal(map(["password"], nested), "p%&\n");
      t.equal(map(["/etc/passwd", "x=1"], "a=1\n"), "-\t-\n", "keys are no files or assignments");
      t.equal(guest.run("collective-map", []).status, 2);
      t.end();
    });

    t.test("parameters are read from fw_cfg, and only lines that are parameters", (t) => {
      const guest = new Guest(t, shell);
      guest.write("fakes/modprobe", "#!/bin/sh\nexit 0\n", 0o755);
      guest.write(
        "sys/firmware/qemu_fw_cfg/by_name/opt/org.collective/parameters/raw",
        "a=1\n\nnoise\n=x\n$(id)=1\nethernet0.ip=10.0.0.1\n../x=2\na=2",
      );
      t.equal(guest.run("parameters").status, 0);
      t.equal(guest.read("run/parameters"), "a=1\nethernet0.ip=10.0.0.1\na=2\n");
      rmSync(guest.file("sys"), { recursive: true });
      guest.run("parameters");
      t.equal(guest.read("run/parameters"), "", "without a source the set is empty");
      t.end();
    });

    t.test("a session applies sets and answers", async (t) => {
      const guest = new Guest(t, shell);
      guest.parameters("a=1", "b=1", "b=2");
      guest.write("run/started", "");
      guest.write("run/last.READY", "READY=1\n");
      guest.hook("reload.d", "10-log", `echo "$*" >>"$COLLECTIVE_RUN/log"; collective-get a >>"$COLLECTIVE_RUN/log"`);
      const session = guest.session(t);
      t.strictSame(await session.said("READY=1"), ["HELLO=1", "READY=1"]);

      session.send("a=1\nb=1\nb=2\n\n");
      t.strictSame(await session.said("RELOADED=1"), ["READY=1", "RELOADED=1"]);
      t.notOk(existsSync(guest.file("run/log")), "an unchanged set runs no hook");

      session.send("a=2\nb=2\nb=1\nnoise\nc=x\n\n");
      t.strictSame(await session.said("RELOADED=1"), ["RELOADED=1"]);
      t.equal(guest.read("run/log"), "a b c\n2\n");
      t.equal(guest.read("run/parameters"), "a=2\nb=2\nb=1\nc=x\n");

      guest.run("collective-say", ["STATUS=two\nlines"]);
      t.strictSame(await session.said("STATUS=two lines"), ["STATUS=two lines"]);

      guest.hook("reload.d", "20-fail", "exit 3");
      session.send("a=3\n\n");
      t.strictSame(await session.said("FAILED=reload: 20-fail ended with 3"), ["FAILED=reload: 20-fail ended with 3"]);
      guest.hook("reload.d", "20-fail", "exit 0");
      session.send("a=4\n\n");
      t.strictSame(await session.said("RELOADED=1"), ["RELOADED=1"]);
      t.notOk(existsSync(guest.file("run/last.FAILED")), "what is mended is not said again");

      session.send("a=5\nb=");
      await session.end();
      t.equal(guest.read("run/parameters"), "a=4\n", "half a set is none");
      t.notOk(existsSync(guest.file("run/connected")));
      t.notOk(existsSync(guest.file("run/lock")));
    });

    t.test("a set that comes while services start is applied before READY=1", async (t) => {
      const guest = new Guest(t, shell);
      guest.parameters("a=old");
      const wait = `while [ ! -e "$COLLECTIVE_RUN/go" ]; do sleep 0.1; done`;
      guest.hook("start.d", "10-log", `echo "start $(collective-get a)" >>"$COLLECTIVE_RUN/log"; ${wait}`);
      guest.hook("reload.d", "10-log", `echo "reload $(collective-get a)" >>"$COLLECTIVE_RUN/log"`);
      const session = guest.session(t);
      await session.said("HELLO=1");
      const start = spawn(path.join(guest.lib, "start"), [], { env: guest.env, stdio: "ignore" });
      t.teardown(() => start.kill("SIGKILL"));
      while (!existsSync(guest.file("run/log"))) await sleep(20);
      session.send("a=new\n\n");
      while (!guest.read("run/parameters").includes("new")) await sleep(20);
      guest.write("run/go", "");
      t.strictSame(await session.said("RELOADED=1"), ["READY=1", "RELOADED=1"]);
      t.equal(guest.read("run/log"), "start old\nreload new\n");
      await session.end();
    });

    t.test("a service that does not start is said to the host, with its own words if it has some", (t) => {
      const guest = new Guest(t, shell);
      guest.hook("start.d", "10-fail", "exit 4");
      t.equal(guest.run("start").status, 1);
      t.equal(guest.read("run/last.FAILED"), "FAILED=start: 10-fail ended with 4\n");
      guest.hook("start.d", "10-fail", "collective-say FAILED=why; exit 4");
      t.equal(guest.run("start").status, 1);
      t.equal(guest.read("run/last.FAILED"), "FAILED=why\n");
      t.notOk(existsSync(guest.file("run/last.READY")));
      t.end();
    });

    t.test("a lock whose holder died is taken", (t) => {
      const guest = new Guest(t, shell);
      guest.write("pid", "");
      execFileSync("ln", ["-s", "4194304", guest.file("run/lock")]);
      t.equal(guest.run("start").status, 0);
      t.equal(guest.read("run/last.READY"), "READY=1\n");
      t.end();
    });

    t.test("cards are found by their addresses, named and configured", (t) => {
      const guest = new Guest(t, shell);
      guest.parameters(
        "name=office-1",
        ...["ethernet0.mac=02:00:00:00:00:AA", "ethernet0.ip=10.1.2.3", "ethernet0.netmask=255.255.254.0"],
        ...["ethernet0.subnet=10.1.2.0", "ethernet0.defaultroute=10.1.3.254", "eth0.mac=02:00:00:00:00:bb"],
        ...["aVeryLongInterfaceName.mac=02:00:00:00:00:cc", "aVeryLongInterfaceName.ip=10.9.0.1"],
        "aVeryLongInterfaceName.netmask=255.255.255.255",
      );
      const cards = `
        mount -t sysfs sys /sys
        ${IP} link add eth0 address 02:00:00:00:00:aa type veth peer name eth1 address 02:00:00:00:00:bb
        ${IP} link add eth2 address 02:00:00:00:00:cc type veth peer name peer2
        ${IP} link set eth2 up; ${IP} link set peer2 up; ${IP} link set eth1 up`;
      const { stdout, stderr, status } = guest.isolated(`
        ${cards}
        COLLECTIVE_SYS=/sys "$COLLECTIVE_LIB/network" || exit 1
        ${IP} -4 -o addr; ${IP} route
        printf 'ethernet0.mac=02:00:00:00:00:aa\\nethernet0.ip=10.1.2.9\\nethernet0.netmask=255.255.255.0\\n' >"$COLLECTIVE_RUN/parameters"
        COLLECTIVE_SYS=/sys "$COLLECTIVE_LIB/network" || exit 1
        echo after; ${IP} -4 -o addr; ${IP} route`);
      t.equal(status, 0, stderr);
      const [before = "", after = ""] = stdout.split("after\n");
      t.match(before, /ethernet0 +inet 10\.1\.2\.3\/23 /);
      t.match(before, /default via 10\.1\.3\.254 dev ethernet0/);
      t.match(before, /eth2 +inet 10\.9\.0\.1\/32 /, "a name too long for the kernel is left out");
      t.equal(guest.read("run/interface.eth0"), "eth0\n", "a card may take a name another one had");
      t.equal(guest.read("run/interface.aVeryLongInterfaceName"), "eth2\n");
      t.match(after, /ethernet0 +inet 10\.1\.2\.9\/24 /);
      t.notMatch(after, /10\.1\.2\.3|default/, "what is no longer set is gone");

      const missing = guest.isolated(`${cards}; echo ethernet0.mac=02:00:00:00:00:ff >"$COLLECTIVE_RUN/parameters"
        COLLECTIVE_CARD_TRIES=1 COLLECTIVE_SYS=/sys "$COLLECTIVE_LIB/network"`);
      t.match(missing, { status: 1, stderr: /no network card has the address 02:00:00:00:00:ff/ });
      for (const mask of ["255.0.255.0", "255.255.255.1", "255.255.255", "255.255.255.0.0", "x", "255.255.255.256"]) {
        const wrong = guest.isolated(`${cards}; printf 'e0.mac=02:00:00:00:00:aa\\ne0.ip=10.0.0.1\\ne0.netmask=${mask}\\n' >"$COLLECTIVE_RUN/parameters"
          COLLECTIVE_SYS=/sys "$COLLECTIVE_LIB/network"`);
        t.match(wrong, { status: 1, stderr: /is no netmask/ }, mask);
      }
      t.end();
    });

    t.test("the user's files are mounted in the first way that works", (t) => {
      const guest = new Guest(t, shell);
      guest.write("files/hello", "hello\n");
      guest.write("filesystems", "nodev\tproc\n\text4\n");
      guest.write("passwd", "joe:x:1000:1000::/home/joe:/bin/sh\njoey:x:1001:1001::/home/joey:/bin/sh\n");
      guest.write(
        "fakes/sshfs",
        `#!/bin/sh\necho "$@" >>"${guest.file("sshfs")}"; cat >>"${guest.file("sshfs")}"; exit 1\n`,
        0o755,
      );
      const encode = (text: string): string =>
        text.replace(/[^A-Za-z0-9]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
      const way = (url: string, credentials: string): string =>
        `mounts=${`url=${encode(url)}&credentials=${encode(credentials)}`.replaceAll("%", "%25")}`;
      guest.parameters(
        way("nfs://files.example/export", ""),
        way("gopher://files.example/", ""),
        way("sftp://-oProxyCommand=id/x", "user=joe&password=s"),
        way("sftp://files.example/home/joe", "user=-oProxyCommand&password=s"),
        way("sftp://files.example/home/joe", "user=joe"),
        way("sftp://files.example/home/joe", "user=joe&password=s3cret"),
        way(`file://${guest.file("absent")}`, "user=joe"),
        way(`file://${guest.file("files")}`, "user=joe&password=x"),
        way(`file://${guest.file("files")}`, "user=joe"),
        way(`file://${guest.file("never")}`, "user=joe"),
      );
      const home = guest.file("home");
      const mounts = `COLLECTIVE_FILESYSTEMS="${guest.file("filesystems")}" COLLECTIVE_PASSWD="${guest.file("passwd")}" collective-mounts "${home}"`;
      const { stdout, stderr, status } = guest.isolated(`${mounts} && cat "${home}/hello"`);
      t.equal(status, 0, stderr);
      t.equal(stdout, "hello\n");
      t.match(guest.read("passwd"), `joe:x:1000:1000::${home}:/bin/sh\njoey:x:1001:1001::/home/joey:/bin/sh\n`);
      t.match(guest.read("run/last.STATUS"), /^STATUS=files of joe from file:/);
      const calls = guest.read("sshfs").split("\n");
      t.equal(calls.length, 3, "sshfs was called once: the other ways lacked what it needs, or were no servers or users");
      t.match(calls[0], /password_stdin.* joe@files\.example:\/home\/joe /);
      t.equal(calls[1], "s3cret");
      t.notMatch(`${calls[0] ?? ""}${stderr}`, /s3cret/, "a credential is in no argument and no message");
      t.match(stderr, /nfs is not supported here[^]*gopher is not supported here/);

      guest.parameters(way("nfs://files.example/export", ""));
      t.equal(guest.isolated(mounts).status, 1);
      t.match(guest.read("run/last.FAILED"), /none of the ways in mounts/);
      guest.parameters("a=1");
      t.equal(guest.isolated(mounts).status, 0, "without the parameter there is nothing to do");
      t.end();
    });

    t.test("a data disk that is neither empty nor ext4 is not touched", (t) => {
      const guest = new Guest(t, shell);
      const size = 5 * 1024 * 1024;
      for (const offset of [0, 512, size / 2, size - 1]) {
        const content = Buffer.alloc(size);
        content[offset] = 7;
        mkdirSync(guest.file("dev"), { recursive: true });
        writeFileSync(guest.file("dev/vdb"), content);
        t.equal(guest.isolated(`collective-disk vdb "${guest.file("mnt")}"`).status, 1);
        t.match(guest.read("run/last.FAILED"), /neither empty nor ext4/, `a byte at ${offset}`);
        t.ok(readFileSync(guest.file("dev/vdb")).equals(content));
      }
      t.equal(guest.isolated(`collective-disk vdc "${guest.file("mnt")}"`).status, 1);
      t.match(guest.read("run/last.FAILED"), /vdc is missing/);
      t.equal(guest.run("collective-disk", ["vdb"]).status, 2);
      t.end();
    });

    t.test("an empty data disk gets a file system, also when making one was cut short", (t) => {
      const guest = new Guest(t, shell);
      mkdirSync(guest.file("dev"));
      const disk = guest.file("dev/vdb");
      const begun = Buffer.alloc(8 * 1024 * 1024);
      begun.write("collective: mkfs has begun");
      begun[3_000_000] = 7;
      for (const content of [Buffer.alloc(8 * 1024 * 1024), begun]) {
        writeFileSync(disk, content);
        // Mounting needs a real disk, which the tests with machines have: here only what comes before it counts.
        guest.isolated(`collective-disk vdb "${guest.file("mnt")}"`);
        t.match(execFileSync("/sbin/e2fsck", ["-fn", disk], { encoding: "utf8", stdio: "pipe" }), /Pass 5/);
        t.notMatch(readFileSync(disk).subarray(0, 512).toString("latin1"), /mkfs has begun/);
        rmSync(disk);
      }
      t.end();
    });
    t.end();
  });
}

t.test("a build writes into its own folder only, whatever links the root folder holds", (t) => {
  const folder = t.testdir({ file: "built", outside: {}, root: { bin: {} } });
  const build = (commands: string): SpawnSyncReturns<string> =>
    spawnSync("sh", ["-euc", `guest=${GUEST}; . "$guest/builder/common.sh"; root=$PWD/root; ${commands}`], {
      cwd: folder,
      env: { ...process.env, XDG_CACHE_HOME: path.join(folder, "cache") },
      encoding: "utf8",
    });
  execFileSync("ln", ["-s", "bin", "root/sbin"], { cwd: folder });
  execFileSync("ln", ["-s", "busybox", "root/bin/tool"], { cwd: folder });
  execFileSync("ln", ["-s", path.join(folder, "outside"), "root/away"], { cwd: folder });
  t.equal(build("put file /sbin/tool").status, 0);
  t.strictSame(readdirSync(path.join(folder, "root/bin")), ["tool"], "a link to busybox is replaced, not followed");
  t.match(build("put file /away/tool"), { status: 1, stderr: /\/away leads out of the root folder/ });
  t.match(build("put file /away/deeper/tool"), { status: 1, stderr: /leads out of the root folder/ });
  t.strictSame(readdirSync(path.join(folder, "outside")), []);
  t.end();
});

t.test("caches that share their packages are changed by one build at a time", async (t) => {
  const folder = t.testdir({ shared: { debs: {} }, one: { cui: {} }, two: { cui: {} } });
  for (const cache of ["one", "two"]) execFileSync("ln", ["-s", "../../shared/debs", `${cache}/cui/debs`], { cwd: folder });
  // `mkdir` fails for whoever comes while the other is inside.
  const script = `. ${GUEST}/builder/packages.sh; with_cache_lock sh -euc "mkdir ${folder}/inside; sleep 0.3; rmdir ${folder}/inside"`;
  const builds = ["one", "two"].map((cache) =>
    spawn("sh", ["-euc", script], { env: { ...process.env, XDG_CACHE_HOME: path.join(folder, cache) }, stdio: "ignore" }),
  );
  const codes = await Promise.all(builds.map((build) => new Promise((resolve) => build.once("close", resolve))));
  t.strictSame(codes, [0, 0]);
});

t.test("shellcheck has nothing to say", (t) => {
  if (spawnSync("shellcheck", ["--version"]).error !== undefined) {
    t.comment("not checked: shellcheck is not installed (apt-get install shellcheck)");
    t.end();
    return;
  }
  const scripts = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "templates"], { encoding: "utf8" })
    .split("\n")
    .filter((file) => file !== "" && existsSync(file))
    .filter((file) => /\.sh$/.test(file) || /^#!\/bin\/(sh|busybox sh)\n/.test(readFileSync(file, "utf8").slice(0, 30)));
  t.ok(scripts.length > 25, `${scripts.length} scripts`);
  const options = ["-s", "sh", "-x", "-P", "templates:templates/guest", "-f", "gcc"];
  t.match(spawnSync("shellcheck", [...options, ...scripts], { encoding: "utf8" }), { stdout: "", status: 0 });
  t.end();
});
