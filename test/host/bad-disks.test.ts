/** A bad file in the place of a data disk costs its own machine, and nothing else on the host. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import t from "tap";
import { listAttic } from "../../src/host/data/attic.ts";
import { listData } from "../../src/host/data/list-data.ts";
import { listDataDisks, prepareDataDisks } from "../../src/host/machine-disks.ts";
import { machinePaths } from "../../src/host/machine-paths.ts";

t.test("data disks that are none are listed as such, beside those that are", async (t) => {
  const directory = t.testdir({});
  const folders = {
    directory,
    runDirectory: path.join(directory, "run"),
    secretsDirectory: path.join(directory, "s"),
  };
  const good = { networkId: "office", component: "d" };
  const bad = { networkId: "nobodys", component: "d.e" };
  await prepareDataDisks(folders, good, {
    disks: [{ device: "vdb", sizeBytes: 1_048_576 }],
    resizeRunning: undefined,
  });
  const at = (device: string): string => machinePaths(folders, bad).dataDisk(device);
  mkdirSync(path.dirname(at("vdb")), { recursive: true });
  writeFileSync(at("vdb"), "");
  writeFileSync(at("vdc"), "garbage".repeat(1000));
  mkdirSync(at("vdd"));
  execFileSync("mkfifo", [at("vde")]);
  symlinkSync(path.basename(at("vdf")), at("vdf"));
  writeFileSync(at("vdg"), Buffer.concat([Buffer.from("QFI\xfb", "latin1"), Buffer.alloc(2)]));
  // Folders that name no network and no component.
  for (const name of ["lost+found", "9"]) {
    const folder = path.join(directory, "networks/nobodys/machines", name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, "data-vdb.qcow2"), "");
  }
  mkdirSync(path.join(directory, "networks/Not A Network/machines/d"), { recursive: true });
  writeFileSync(path.join(directory, "networks/Not A Network/machines/d/data-vdb.qcow2"), "");
  writeFileSync(path.join(directory, "networks/a-file"), "");
  const found = await listDataDisks(folders);
  t.match(
    found.filter(({ problem }) => problem === undefined),
    [{ id: good, device: "vdb", sizeBytes: 1_048_576 }],
  );
  const damaged = found.filter(({ problem }) => problem !== undefined);
  t.same(damaged.map(({ device }) => device).sort(), ["vdb", "vdc", "vdd", "vde", "vdf", "vdg"]);
  for (const { id, device, sizeBytes, problem } of damaged) {
    t.same([id, sizeBytes], [bad, 0]);
    t.ok(problem?.includes(at(device)), "with its path");
  }
  const use = { devicesInUse: () => new Set<string>(), isExported: () => false };
  const listed = async (): Promise<unknown[]> => [
    ...(await listData(folders, null, use)).disks.map(({ device, sizeBytes }) => [device, sizeBytes]),
    ...(await listAttic(folders)).map(({ machine, device, sizeBytes }) => [machine, device, sizeBytes]),
  ];
  const none = ["vdb", "vdc", "vdd", "vde", "vdf", "vdg"].map((device) => [device, null]);
  t.same(await listed(), [...none, ["vdb", 1_048_576]], "nor do they keep data from being listed");
  await t.rejects(
    prepareDataDisks(folders, bad, {
      disks: [{ device: "vdc", sizeBytes: 1_048_576 }],
      resizeRunning: undefined,
    }),
    { code: "HOST_DISK_DAMAGED" },
    "nothing is made in its place",
  );
  const attic = path.join(directory, "attic");
  for (const name of ["d.e", "lost+found"]) {
    mkdirSync(path.join(attic, "nobodys", name), { recursive: true });
    cpSync(path.dirname(at("vdb")), path.join(attic, "nobodys", name, "2026-01-01T000000.000Z"), {
      recursive: true,
      filter: (file) => !file.endsWith("vde.qcow2") && !file.endsWith("vdf.qcow2"),
    });
  }
  execFileSync("mkfifo", [path.join(attic, "nobodys/d.e/2026-01-01T000000.000Z", path.basename(at("vde")))]);
  const inAttic = ["vdb", "vdc", "vdd", "vde", "vdg"].map((device) => [bad, device, null]);
  t.same(await listed(), [...none, ["vdb", 1_048_576], ...inAttic]);
});
