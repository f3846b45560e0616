/** A lab whose parts die or hang, looked at and repaired by the command itself; and a manager that meets a host that hangs. */
import { cacheFolder } from "../../src/cache-folder.ts";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import t from "tap";
import { connectHost } from "../../src/host/connect-host.ts";
import { checkLab } from "../../src/host/lab/check-lab.ts";
import { labUp } from "../../src/host/lab/lab-up.ts";
import { childrenOf, type ProcessEntry } from "../../src/host/lab/process-table.ts";
import { run } from "../../src/io.ts";
import { eventually } from "./fixtures/traces.ts";

const folder = await mkdtemp(path.join(tmpdir(), "cui-health-"));
t.teardown(() => rm(folder, { recursive: true, force: true }));
const directory = path.join(folder, "lab");
const CUI = path.resolve("dist/cui.js");
const lab = await labUp({
  ...{ cache: cacheFolder(process.env), directory, hosts: 1 },
  cui: [process.execPath, CUI],
});
t.teardown(() => lab.down());
const host = lab.hosts[0]!;

const cui = (...args: string[]): Promise<{ out: string; status: number }> =>
  run({
    file: process.execPath,
    args: [CUI, ...args],
    cwd: path.join(folder, "site"),
    env: { CUI_STATE: path.join(folder, "state.git") },
    allowedExitCodes: [0, 1],
    parse: (out, status, err) => ({ out: `${out}${err}`, status }),
  });

const isHostManager = ({ args }: ProcessEntry): boolean => args.includes("serve");
const named =
  (name: string) =>
  ({ args: [program = ""] }: ProcessEntry): boolean =>
    path.basename(program).replace(/:$/, "") === name;

async function signal(
  pid: number,
  is: (entry: ProcessEntry) => boolean,
  name: "SIGKILL" | "SIGSTOP" | "SIGCONT",
): Promise<void> {
  const found = (await childrenOf(pid)).filter(is);
  t.equal(found.length, 1, `one process gets ${name}`);
  for (const entry of found) process.kill(entry.pid, name);
}

t.test("a host manager that hangs is named in time, with what is unknown", async (t) => {
  const site = path.join(folder, "site");
  await mkdir(site);
  await writeFile(
    path.join(site, "utility.yaml"),
    `format: 1
hosts:
  - { name: host1, address: "${host.address}" }
vlans: [100]
external: { vlan: 900, subnet: 198.51.100.0/24, gateway: 198.51.100.1 }
addresses: [198.51.100.10-198.51.100.20]
`,
  );
  await writeFile(
    path.join(site, "One.cvl"),
    'CVL = "0.8";\nOne extends VMAppliance {\n  vm = "one.vm.yaml";\n}\n',
  );
  await writeFile(path.join(site, "one.vm.yaml"), "format: 1\nmemory: 64MiB\n");
  t.notMatch((await cui("status")).out, /host1/);
  const before = await connectHost(host.address, { heartbeatMs: 100 });
  t.teardown(() => before.close());
  await signal(host.init.pid, isHostManager, "SIGSTOP");
  t.match((await cui("status")).out, /warning: host host1: it has not answered within 3 s/);
  const plan = await cui("plan", "One.cvl");
  t.match(plan, { status: 1, out: /host1: HOST_UNREACHABLE: it has not answered within 3 s/ });
  const start = await cui("start", "One.cvl");
  t.match(start, {
    status: 1,
    out: /UTILITY_HOST_UNREACHABLE: no host can be used: host host1: .*(within|in) 10 s/,
  });
  await t.rejects(
    before.inventory(),
    { code: "HOST_UNREACHABLE", message: /it has not answered for 0\.4 s/ },
    "one that worked for us and stopped answering",
  );
  await t.rejects(connectHost(host.address, { timeoutMs: 300 }), { code: "HOST_UNREACHABLE" });
  t.match(await checkLab(lab), [{ place: "host1", part: "host manager" }]);
  await signal(host.init.pid, isHostManager, "SIGCONT");
  t.ok(await before.describe(), "it goes on where it was");
  const hasty = await connectHost(host.address, { callTimeoutMs: 1 });
  t.teardown(() => hasty.close());
  await t.rejects(hasty.inventory(), {
    code: "HOST_UNREACHABLE",
    message: /no answer to inventory in 0\.001 s/,
  });
});

t.test("cui lab status names what does not answer, and the command that starts it again", async (t) => {
  t.same(await checkLab(lab), []);
  const status = (...more: string[]): ReturnType<typeof cui> =>
    cui("lab", "status", "--dir", directory, ...more);
  t.match(await status(), { status: 0, out: /^up\nhost1 / });
  const cases = [
    ["host manager", host.init.pid, isHostManager, "SIGKILL"],
    ["host manager", host.init.pid, isHostManager, "SIGSTOP"],
    ["libvirtd", host.init.pid, named("libvirtd"), "SIGKILL"],
    ["ovs-vswitchd", host.init.pid, named("ovs-vswitchd"), "SIGKILL"],
    ["ovsdb-server", host.init.pid, named("ovsdb-server"), "SIGKILL"],
    ["ovs-vswitchd", lab.init.pid, named("ovs-vswitchd"), "SIGKILL"],
  ] as const;
  for (const [part, pid, is, name] of cases) {
    const place = pid === lab.init.pid ? "outside" : "host1";
    await signal(pid, is, name);
    const { out, status: exit } = await status();
    t.equal(exit, 1, "a script learns of it, too");
    t.match(out, /error LAB_INCOMPLETE: /);
    t.match(out, /^up, but not all of it answers\n/, `${part} ${name}`);
    t.match(out, new RegExp(`^${place}: ${part} does not answer: `, "m"));
    t.match(out, `hint: cui lab up --repair --dir ${directory} starts them again`);
    const json = await status("--json");
    t.match(JSON.parse(json.out.split("\n")[0] ?? ""), { up: true, problems: [{ place, part }] });
    t.equal(json.status, 1);
    const repaired = await cui("lab", "up", "--repair", "--dir", directory);
    t.match(repaired, { status: 0, out: `${place}: started ${part} again` });
    t.ok(await eventually(async () => (await checkLab(lab)).length === 0), "and it answers");
  }
  t.match(await cui("lab", "up", "--repair", "--dir", directory), { status: 0, out: "every part answers" });
  const again = await connectHost(host.address);
  t.same((await again.inventory()).machines, [], "libvirt and the host manager work together");
  await again.close();
  t.match(await cui("lab", "up", "--repair", "--dir", folder), { status: 1, out: /LAB_NOT_FOUND/ });
});
