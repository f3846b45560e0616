import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import t, { type Test } from "tap";
import { probeKvm } from "../../src/host/accelerator.ts";
import { checkHost } from "../../src/host/check-host.ts";
import type { HostCheck } from "../../src/host/host-check.ts";
import { createHostManager } from "../../src/host/host-manager.ts";
import type { MachineSpec } from "../../src/host/host.ts";
import { fromResponseError, toResponseError } from "../../src/host/protocol.ts";
import { makeSecretsDirectory } from "../../src/host/secret-files.ts";
import { CollectiveError } from "../../src/errors.ts";
import { labExec } from "./fixtures/lab-exec.ts";
import { runCli } from "../../src/cli/main.ts";
import { hostLab } from "./fixtures/host-lab.ts";
import { specOf } from "./fixtures/test-guest.ts";

const { lab, guest, options, folder } = await hostLab(t);
const fence = { networkId: "errors", token: 1 };
const image = guest.image();
const exec = (...args: [string, ...string[]]): Promise<string> =>
  labExec({ directory: lab.directory, place: "host1" }, { file: args[0], args: args.slice(1) });

/** Nothing of a machine that could not be started: no domain, no overlay, no parameters. */
async function leavesNothing(test: Test, name: string, spec: MachineSpec): Promise<void> {
  test.notMatch(
    await exec("virsh", "list", "--all", "--name"),
    new RegExp(`errors\\.${spec.id.component}$`, "m"),
  );
  const { directory, secretsDirectory } = options(name).folders;
  const found = await exec(
    "find",
    directory,
    secretsDirectory,
    "-name",
    "overlay-*",
    "-o",
    "-name",
    "parameters",
  );
  test.equal(found, "");
}

t.test("a start that cannot succeed changes nothing", async (t) => {
  const host = await createHostManager(options("start"));
  t.teardown(() => host.close());
  await host.prepareImage(fence, image);
  const spec = specOf(image, { id: { networkId: "errors", component: "w" } });
  const start = async (change: Partial<Parameters<typeof guest.image>[0]>): Promise<void> => {
    const changed = { ...spec, image: guest.image(change) };
    await host.prepareImage(fence, changed.image);
    await host.startMachine(fence, changed);
  };
  await t.rejects(start({ memoryBytes: 2 ** 45 }), { code: "HOST_MEMORY_FULL", message: /MiB/ });
  await t.rejects(start({ arch: "riscv64" }), {
    code: "HOST_START_FAILED",
    message: /libvirt did not start w: .+/,
  });
  await t.rejects(
    start({ cpus: 500 }),
    { code: "HOST_START_FAILED" },
    "when QEMU refuses, what was defined is gone, too",
  );
  await leavesNothing(t, "start", spec);
});

t.test("Open vSwitch or libvirt is not there", async (t) => {
  const spec = specOf(image, { id: { networkId: "errors", component: "b" } });
  const withoutBridge = await createHostManager({ ...options("bridge"), bridge: "br-none" });
  await t.rejects(
    withoutBridge.prepareImage(fence, image),
    { code: "HOST_BRIDGE_MISSING" },
    "as early as can be",
  );
  await t.rejects(withoutBridge.startMachine(fence, spec), {
    code: "HOST_BRIDGE_MISSING",
    message: /br-none/,
  });
  const withoutSwitch = await createHostManager({
    ...options("bridge"),
    switchDatabase: "unix:/nonexistent",
  });
  await t.rejects(withoutSwitch.startMachine(fence, spec), {
    code: "HOST_BRIDGE_MISSING",
    message: /does not run/,
  });
  const libvirtUri = "qemu+unix:///system?socket=/nonexistent";
  const withoutLibvirt = await createHostManager({ ...options("bridge"), libvirtUri });
  await t.rejects(withoutLibvirt.startMachine(fence, spec), { code: "HOST_LIBVIRT_DOWN" });
  await t.rejects(withoutLibvirt.inventory(), { code: "HOST_LIBVIRT_DOWN" });
  await leavesNothing(t, "bridge", spec);
});

t.test("a full disk, a host without firmware, a damaged disk", async (t) => {
  const small = path.join(folder, "small");
  await mkdir(small);
  // A disk of its own, in the lab's namespace only: the host manager must run there, too, to see it full.
  await exec("mount", "-t", "tmpfs", "-o", "size=1m", "small", small);
  const script = path.resolve("build/test/host/fixtures/start-in-lab.js");
  const said = await exec(
    process.execPath,
    script,
    small,
    path.join("/run/collective", "small"),
    path.join(folder, "guest"),
  );
  t.match(said, /^HOST_DISK_FULL$/m);
  t.match(said, /^no domain$/m);

  await exec("mount", "-t", "tmpfs", "none", "/usr/share/OVMF");
  const large = path.join(folder, "large");
  const secrets = path.join("/run/collective", "large");
  const answer = await exec(process.execPath, script, large, secrets, path.join(folder, "guest"), "uefi");
  await exec("umount", "/usr/share/OVMF");
  t.match(answer, /^not prepared: HOST_FIRMWARE_MISSING\nHOST_FIRMWARE_MISSING$/m);

  await exec("mount", "--bind", "/dev/null", "/usr/bin/genisoimage");
  const lacking = path.join("/run/collective", "lacking");
  const withoutProgram = await exec(
    process.execPath,
    script,
    large,
    lacking,
    path.join(folder, "guest"),
    "cloud-init",
  );
  t.match(withoutProgram, /^lacks .*genisoimage/m, "what a host lacks it says when it is asked");
  t.match(withoutProgram, /^not prepared: HOST_PROGRAM_MISSING$/m, "and before anything is stopped");
  t.match(withoutProgram, /^no domain$/m);
  const checks = await labExec(
    { directory: lab.directory, place: "host1" },
    {
      file: process.execPath,
      args: [path.resolve("dist/cui.js"), "host", "check", "--json"],
      allowedExitCodes: [1],
      parse: (text) => JSON.parse(text) as HostCheck[],
    },
  );
  t.match(
    checks.find(({ name }) => name === "genisoimage"),
    { result: "note", hint: /package genisoimage/ },
  );
  t.match(
    checks.find(({ name }) => name === "disk"),
    { result: "ok", detail: /MiB of it free/ },
  );
  await exec("umount", "/usr/bin/genisoimage");

  const host = await createHostManager(options("damaged"));
  t.teardown(() => host.close());
  const id = { networkId: "errors", component: "d" };
  const machine = path.join(options("damaged").folders.directory, "networks/errors/machines/d");
  await mkdir(machine, { recursive: true });
  await writeFile(path.join(machine, "data-vdb.qcow2"), "x".repeat(4096));
  const disks = [{ device: "vdb", sizeBytes: 1024 * 1024 }];
  await t.rejects(host.prepareDataDisks(fence, id, disks), {
    code: "HOST_DISK_DAMAGED",
    message: /data-vdb/,
  });
  t.equal(
    await readFile(path.join(machine, "data-vdb.qcow2"), "utf8"),
    "x".repeat(4096),
    "it is left as it is",
  );
});

t.test("all sizes are looked at before one disk changes", async (t) => {
  const host = await createHostManager(options("sizes"));
  t.teardown(() => host.close());
  const id = { networkId: "errors", component: "s" };
  const disk = (device: string, mebibytes: number): { device: string; sizeBytes: number } => ({
    device,
    sizeBytes: mebibytes * 1024 * 1024 - 100,
  });
  await host.prepareDataDisks(fence, id, [disk("vdb", 2), disk("vdc", 2)]);
  await host.prepareDataDisks(fence, id, [disk("vdb", 2), disk("vdc", 2)]);
  await t.rejects(host.prepareDataDisks(fence, id, [disk("vdb", 3), disk("vdc", 1)]), {
    code: "HOST_DISK_SHRINK",
  });
  const sizes = (await host.inventory()).dataDisks.map(({ sizeBytes }) => sizeBytes);
  t.same(sizes, Array(2).fill(4096 * 512), "in whole sectors, and none grew");
});

t.test("a fence that cannot be read lets nobody in", async (t) => {
  const { directory } = options("fence").folders;
  await mkdir(path.join(directory, "networks/errors"), { recursive: true });
  await writeFile(path.join(directory, "networks/errors/fence.json"), "{");
  const host = await createHostManager(options("fence"));
  t.teardown(() => host.close());
  await t.rejects(host.prepareImage({ networkId: "errors", token: 9e9 }, image), { code: "HOST_FENCED" });
});

t.test("wrong arguments are refused without showing them", async (t) => {
  const host = await createHostManager(options("arguments"));
  t.teardown(() => host.close());
  const spec = specOf(image, { id: { networkId: "errors", component: "w" } });
  const bad: Record<string, object> = {
    "a component that is a path": { id: { networkId: "errors", component: "../../etc" } },
    "a device that is a path": { dataDisks: [{ device: "../vda", sizeBytes: 512 }] },
    "a line that is two": { parameterLines: ["password=hunter2\nx=1"] },
    "a tag that is no tag": { interfaces: [{ name: "e", mac: "52:54:00:00:00:01", port: { tag: 4095 } }] },
    "a multicast address": { interfaces: [{ name: "e", mac: "01:00:5e:00:00:01", port: null }] },
    "a digest that is a path": {
      image: { ...image, kernel: { path: "k", oid: "../../etc/passwd", sizeBytes: 1 } },
    },
    "a plan with a newline": { plan: "a\nb" },
  };
  for (const [what, change] of Object.entries(bad)) {
    const refused = { code: "HOST_REQUEST_INVALID", message: /^(?!.*hunter2)/s };
    await t.rejects(host.startMachine(fence, { ...spec, ...change }), refused, what);
  }
});

t.test("parameters never lie on a disk", async (t) => {
  // The tests' own folder may be in memory.
  await t.rejects(makeSecretsDirectory(path.resolve("build/secrets")), { code: "HOST_SECRETS_ON_DISK" });
});

t.test("an error goes over the wire as it is; an unexpected one keeps its message only", (t) => {
  const error = new CollectiveError("HOST_DISK_FULL", "full", { hint: "empty it", data: { bytes: 1 } });
  t.match(fromResponseError(toResponseError(error)), {
    code: "HOST_DISK_FULL",
    message: "full",
    hint: "empty it",
    data: { bytes: 1 },
  });
  t.match(fromResponseError(toResponseError(new TypeError("oops"))), {
    code: "HOST_FAILED",
    message: /oops/,
  });
  t.end();
});

t.test("cui host check names what is missing, and what is there", async (t) => {
  const said: string[] = [];
  const context = {
    cwd: "/",
    env: {},
    isTerminal: false,
    print: (text: string) => void said.push(text),
    warn: (text: string) => void said.push(text),
  };
  const missing = [
    "--socket",
    "/nonexistent",
    "--bridge",
    "br-none",
    "--libvirt",
    "qemu+unix:///system?socket=/nonexistent",
  ];
  t.equal(await runCli(["host", "check", ...missing], context), 1);
  t.match(said.join("\n"), /missing +libvirt .*\n.*hint: .*libvirtd/);
  t.match(said.join("\n"), /missing +bridge /);
  t.match(said.join("\n"), /HOST_INCOMPLETE: this host lacks: .*libvirt, bridge/);
  const { libvirtUri, bridge, folders } = options("check");
  const checks = await checkHost({
    ...{ libvirtUri, bridge, socket: path.join(lab.directory, "host1/host.sock") },
    ...{
      secretsDirectory: folders.secretsDirectory,
      acceleratorCache: path.join(folder, "accelerator.json"),
    },
  });
  const results = Object.fromEntries(checks.map(({ name, result }) => [name, result]));
  t.match(results, { libvirt: "ok", "qemu-img": "ok", "host manager": "ok", "memory-backed folder": "ok" });
});

t.test("the probe boots under QEMU's own emulation", async (t) => {
  t.equal(await probeKvm("tcg"), true, "so it is KVM that hangs where it hangs");
  await rm(path.join(folder, "accelerator.json"), { force: true });
});
