import { execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import t, { type Test } from "tap";
import { findEntry, listAttic } from "../../../src/host/data/attic.ts";
import { moveDataToAttic, moveDisksToAttic } from "../../../src/host/data/move-to-attic.ts";
import { purgeAttic } from "../../../src/host/data/purge-attic.ts";
import { restoreFromAttic } from "../../../src/host/data/restore-from-attic.ts";
import type { HostFolders } from "../../../src/host/machine-paths.ts";

const id = { networkId: "n", component: "w" };
const note = { command: "remove n.cvl", site: null };
const MIB = 1024 * 1024;

const emptyDisk = makeEmptyDisk();

function makeEmptyDisk(): Buffer {
  const folder = mkdtempSync(path.join(tmpdir(), "cui-attic-"));
  const file = path.join(folder, "empty.qcow2");
  execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", file, String(3 * MIB)]);
  const bytes = readFileSync(file);
  rmSync(folder, { recursive: true });
  return bytes;
}

function makeFolders(t: Test): HostFolders {
  const directory = t.testdir();
  return { directory, runDirectory: `${directory}/run`, secretsDirectory: `${directory}/secrets` };
}

const machineFolder = ({ directory }: HostFolders): string => path.join(directory, "networks/n/machines/w");

/** A qcow2 whose last bytes, which no reader of the disk sees, are the text. */
function makeDisk({ folders, device, text }: { folders: HostFolders; device: string; text: string }): void {
  const folder = machineFolder(folders);
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `data-${device}.qcow2`);
  writeFileSync(file, Buffer.concat([emptyDisk, Buffer.from(text)]));
  writeFileSync(path.join(folder, "machine.json"), "{}");
}

/** Where each text is: `w`, `attic`, in the order of names; a disk that is in two places is there twice. */
function places({ directory }: HostFolders, texts: readonly string[]): string[] {
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((name) => /data-[a-z]+\.qcow2/.test(name))
    .sort();
  return texts.flatMap((text) =>
    files
      .filter((name) => readFileSync(path.join(directory, name), "latin1").endsWith(text))
      .map((name) => `${text}: ${name.startsWith("attic/") ? "attic" : "w"}`),
  );
}

t.test("a removed machine's data is in the attic, with when and why, and can come back", async (t) => {
  const folders = makeFolders(t);
  makeDisk({ folders, device: "vdb", text: "first" });
  makeDisk({ folders, device: "vdc", text: "second" });
  await moveDataToAttic(folders, id, { command: "remove n.cvl", site: "0123456789ab" });
  t.notOk(existsSync(machineFolder(folders)));
  const entries = await listAttic(folders);
  t.match(entries, [
    { machine: id, device: "vdb", sizeBytes: 3 * MIB, command: "remove n.cvl", site: "0123456789ab" },
    { machine: id, device: "vdc", sizeBytes: 3 * MIB },
  ]);
  t.ok(entries.every((entry) => /^[0-9a-f]{12}$/.test(entry.id) && entry.allocatedBytes > 0));
  t.ok(Math.abs(Date.parse(entries[0]!.movedAt) - Date.now()) < 600_000);
  await moveDataToAttic(folders, id, note);
  t.same(await listAttic(folders), entries, "nothing more goes there");

  makeDisk({ folders, device: "vdb", text: "third" });
  const request = { entry: entries[0]!.id, device: "vdb", site: "0123456789ab", note };
  const restored = await restoreFromAttic(folders, id, request);
  t.same(places(folders, ["first", "second", "third"]), ["first: w", "second: attic", "third: attic"]);
  t.equal(restored.sizeBytes, 3 * MIB);
  const aside = await findEntry(folders, restored.putAside!, null);
  t.match(aside, { machine: id, device: "vdb", command: "remove n.cvl" });
  await t.rejects(restoreFromAttic(folders, id, request), { code: "HOST_ATTIC_UNKNOWN", hint: /attic list/ });

  const renamed = { networkId: "m", component: "" };
  const back = { entry: entries[1]!.id, device: "vdq", site: "0123456789ab", note };
  const siteless = { code: "HOST_OTHER_SITE", message: /0123456789ab, and utility\.yaml here has no/ };
  await t.rejects(restoreFromAttic(folders, renamed, { ...back, site: null }), siteless);
  t.match(await restoreFromAttic(folders, renamed, back), { putAside: null });
  t.ok(
    existsSync(path.join(folders.directory, "networks/m/machines/_root/data-vdq.qcow2")),
    "under a new name",
  );
  await purgeAttic(folders, { entries: [aside.id], site: null, inTurn: (_, task) => task() });
  t.same(readdirSync(path.join(folders.directory, "attic")), [], "no empty folders are left");
});

t.test(
  "what earlier releases moved there, and what is not whole, is listed; strange files stay",
  async (t) => {
    const folders = makeFolders(t);
    makeDisk({ folders, device: "vdb", text: "old" });
    const folder = path.join(folders.directory, "attic/gone/_root/2026-01-31T101500.250Z");
    mkdirSync(path.dirname(folder), { recursive: true });
    renameSync(machineFolder(folders), folder);
    writeFileSync(path.join(folder, "data-ide0_1.qcow2"), "no disk at all");
    writeFileSync(path.join(folder, "notes.txt"), "mine");
    mkdirSync(path.join(folders.directory, "networks/gone"), { recursive: true });
    const fence = JSON.stringify({ format: 1, token: 3, site: "ba9876543210" });
    writeFileSync(path.join(folders.directory, "networks/gone/fence.json"), fence);
    const entries = await listAttic(folders);
    const machine = { networkId: "gone", component: "" };
    const common = { machine, movedAt: "2026-01-31T10:15:00.250Z", command: null, site: "ba9876543210" };
    t.match(entries, [
      { ...common, device: "ide0:1", sizeBytes: null },
      { ...common, device: "vdb", sizeBytes: 3 * MIB },
    ]);
    const [damaged, whole] = entries;
    const restore = { entry: damaged!.id, device: "vdb", site: "ba9876543210", note };
    await t.rejects(restoreFromAttic(folders, id, restore), { code: "HOST_DISK_DAMAGED" });
    const everything = entries.map((entry) => entry.id);
    for (const site of ["0123456789ab", null]) {
      const refusal = { code: "HOST_OTHER_SITE", message: /ba9876543210/ };
      await t.rejects(purgeAttic(folders, { entries: everything, site, inTurn: never }), refusal);
      await t.rejects(restoreFromAttic(folders, id, { ...restore, entry: whole!.id, site }), refusal);
      await t.rejects(findEntry(folders, whole!.id, site), refusal);
    }
    t.same(await listAttic(folders), entries, "another site's data is left alone");
    const own = { entries: everything, site: "ba9876543210" };
    const purged = await purgeAttic(folders, { ...own, inTurn: (_, task) => task() });
    t.same(purged.sort(), everything.sort());
    t.same(readdirSync(folder), ["notes.txt"]);
  },
);

t.test("only what is named is purged, and what was restored meanwhile stays", async (t) => {
  const folders = makeFolders(t);
  makeDisk({ folders, device: "vdb", text: "one" });
  await moveDataToAttic(folders, id, note);
  const [one] = await listAttic(folders);
  makeDisk({ folders, device: "vdb", text: "two" });
  await moveDataToAttic(folders, id, note);
  const purge = { entries: [one!.id, "0123456789ab"], site: null };
  t.same(await purgeAttic(folders, { ...purge, inTurn: (_, task) => task() }), [one!.id]);
  t.same(places(folders, ["one", "two"]), ["two: attic"]);
  const [two] = await listAttic(folders);
  const raced = await purgeAttic(folders, {
    ...{ entries: [two!.id], site: null },
    inTurn: async (_, task) => {
      await restoreFromAttic(folders, id, { entry: two!.id, device: "vdb", site: null, note });
      return task();
    },
  });
  t.same(raced, []);
  t.same(places(folders, ["two"]), ["two: w"]);
});

t.test(
  "killed before any change of the file system, a disk is in one place, and a second run ends it",
  async (t) => {
    const script = path.resolve("build/test/host/data/kill-at.js");
    const cases = {
      move: { begins: ["new: w", "more: w"], ends: ["new: attic", "more: attic"] },
      aside: { begins: ["new: w"], ends: ["new: attic"] },
      restore: { begins: ["old: attic", "new: w"], ends: ["old: w", "new: attic"] },
      purge: { begins: ["old: attic"], ends: [] },
    };
    for (const [what, { begins, ends }] of Object.entries(cases)) {
      const texts = begins.map((place) => place.split(":")[0]!);
      for (let at = 0, isThrough = false; !isThrough; at++) {
        const folders = makeFolders(t);
        rmSync(folders.directory, { recursive: true });
        mkdirSync(folders.directory);
        let entry = "";
        if (texts.includes("old")) {
          makeDisk({ folders, device: "vdb", text: "old" });
          await moveDataToAttic(folders, id, note);
          entry = (await listAttic(folders))[0]!.id;
        }
        if (texts.includes("new")) makeDisk({ folders, device: "vdb", text: "new" });
        if (texts.includes("more")) makeDisk({ folders, device: "vdc", text: "more" });
        t.same(places(folders, texts), begins);
        const child = spawnSync(process.execPath, [script, folders.directory, String(at), what, entry]);
        isThrough = child.stdout.toString() === "done\n";
        if (!isThrough) t.equal(child.signal, "SIGKILL", child.stderr.toString());
        const after = places(folders, texts);
        const isPurged = what === "purge" && after.length === 0;
        t.ok(isPurged || after.length === texts.length, `${what} killed at ${at}: ${after.join()}`);
        const listed = (await listAttic(folders)).length;
        t.equal(
          listed,
          after.filter((place) => place.endsWith("attic")).length,
          "all that is there is listed",
        );
        await finish(folders, what, entry);
        t.same(places(folders, texts), ends, `${what} killed at ${at} and done again`);
        if (at > 60) throw new Error("it never ends");
      }
    }
  },
);

async function finish(folders: HostFolders, what: string, entry: string): Promise<void> {
  if (what === "move") await moveDataToAttic(folders, id, note);
  if (what === "aside" && existsSync(path.join(machineFolder(folders), "data-vdb.qcow2")))
    await moveDisksToAttic(folders, id, { devices: ["vdb"], note });
  if (what === "purge")
    await purgeAttic(folders, { entries: [entry], site: null, inTurn: (_, task) => task() });
  const isLeft = (await listAttic(folders)).some((each) => each.id === entry);
  if (what === "restore" && isLeft)
    await restoreFromAttic(folders, id, { entry, device: "vdb", site: null, note });
}

function never(): Promise<never> {
  return Promise.reject(new Error("nothing is to be done"));
}
