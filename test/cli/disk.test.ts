import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import t, { type Test } from "tap";
import { createRepository } from "../../src/setup/create.ts";
import { lfsStore } from "../../src/lfs/local-store.ts";
import type { Oid } from "../../src/disk/object-store.ts";
import { publish } from "../../src/publish/publish.ts";
import { run } from "../../src/io.ts";
import { changeDisk, makeDisk, sha256, writeAppliance } from "../appliance/appliance-fixture.ts";
import { git, gitAt } from "../git/git-fixture.ts";

/** The bundle, as it is installed: worker threads and WebAssembly must be found from there. */
const CUI = path.resolve("dist/cui.js");

interface Published {
  readonly folder: string;
  readonly repository: string;
  readonly work: string;
  readonly disks: readonly Buffer[];
  readonly cui: (
    cwd: string,
    ...args: string[]
  ) => Promise<{ stdout: string; stderr: string; exitCode: number }>;
}

async function twoVersions(t: Test): Promise<Published> {
  const folder = t.testdir({ elsewhere: {} });
  const cache = path.join(folder, "cache/cui");
  const repository = path.join(folder, "repos/DNS");
  const work = path.join(folder, "work");
  await createRepository(gitAt(repository));
  const first = makeDisk();
  const disks = [first, changeDisk(first)];
  writeAppliance(work, first);
  await publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: work, cache });
  await writeFile(path.join(work, "root.img"), disks[1]!);
  await publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: work, cache });
  const env = { XDG_CACHE_HOME: path.join(folder, "cache") };
  const cui = async (
    cwd: string,
    ...args: string[]
  ): Promise<{ stdout: string; stderr: string; exitCode: number }> => {
    const stderrFile = path.join(folder, "stderr");
    // run() gives standard output alone; the error output goes by way of a file.
    const script = 'exec 2>"$0"; exec "$@"';
    let exitCode = 0;
    const stdout = await run({
      file: "sh",
      args: ["-c", script, stderrFile, process.execPath, CUI, ...args],
      cwd,
      env,
      allowedExitCodes: [0, 1, 2],
      parse: (text, code) => {
        exitCode = code;
        return text;
      },
    });
    return { stdout, stderr: await readFile(stderrFile, "utf8"), exitCode };
  };
  return { folder, repository, work, disks, cui };
}

t.test("cui disk", async (t) => {
  const { folder, repository, work, disks, cui } = await twoVersions(t);
  const elsewhere = path.join(folder, "elsewhere");

  await t.test("exports a disk of any version bit for bit, by device or by name", async (t) => {
    for (const [version, name] of [
      ["1", "vda"],
      ["v2", "root"],
    ] as const) {
      const file = `${name}.raw`;
      const result = await cui(elsewhere, "disk", "export", repository, version, name, file);
      t.match(result, { exitCode: 0, stderr: "" });
      t.equal(sha256(await readFile(path.join(elsewhere, file))), sha256(disks[version === "1" ? 0 : 1]!));
    }
    const again = await cui(elsewhere, "disk", "export", repository, "1", "vda", "vda.raw");
    t.match(again, { exitCode: 1, stderr: /FILE_EXISTS: .*there already/ });
    t.match(await cui(elsewhere, "disk", "export", repository, "1", "vdb", "x"), {
      exitCode: 1,
      stderr: /REPOSITORY_FILE_MISSING.*\n.*it has root = vda/,
    });
    t.match(await cui(elsewhere, "disk", "export", repository, "7", "vda", "x"), {
      exitCode: 1,
      stderr: /REPOSITORY_VERSION_MISSING.*version 7\n.*newest is 2/,
    });
    t.match(await cui(elsewhere, "disk", "export", repository, "seven", "vda", "x"), { exitCode: 2 });
    t.match(await cui(elsewhere, "disk", "export", repository, "1", "vda", "x", "--format", "vdi"), {
      exitCode: 2,
    });
    const qcow2 = await cui(
      elsewhere,
      "disk",
      "export",
      repository,
      "1",
      "vda",
      "vda.qcow2",
      "--format",
      "qcow2",
    );
    t.equal(qcow2.exitCode, 0);
    const pair = [path.join(elsewhere, "vda.raw"), path.join(elsewhere, "vda.qcow2")];
    await run({ file: "qemu-img", args: ["compare", "-f", "raw", "-F", "qcow2", ...pair] });
  });

  await t.test("shows versions, an index folder, and one index file for git diff", async (t) => {
    const { stdout } = await cui(elsewhere, "disk", "show", repository, "--json");
    const shown = JSON.parse(stdout) as { version: number; devices: string[]; digest: string }[];
    t.match(shown, [
      {
        version: 1,
        disk: "root",
        devices: ["vda"],
        sizeBytes: disks[0]!.length,
        chunks: { placed: 10, distinct: 9 },
      },
      { version: 2, disk: "root", chunks: { placed: 9 }, packs: [{}, {}] },
    ]);
    t.not(shown[0]!.digest, shown[1]!.digest);
    const text = await cui(elsewhere, "disk", "show", repository, "2");
    t.match(text.stdout, new RegExp(`v2 root \\(vda\\): 2.50 MiB, digest ${shown[1]!.digest}\n  9 chunks`));
    const index = await cui(work, "disk", "show", "disks/root.index");
    t.match(index.stdout, new RegExp(`^root: .* digest ${shown[1]!.digest}`));
    const header = await cui(work, "disk", "show", "--textconv", "disks/root.index/header");
    t.match(header.stdout, new RegExp(`^disk ${disks[1]!.length} bytes\ndigest ${shown[1]!.digest}\npack `));
    t.match(await cui(work, "disk", "show", "--textconv", "DNS.cvl"), {
      exitCode: 1,
      stderr: /DISK_INDEX_INVALID/,
    });
    t.match(await cui(work, "disk", "show", "--textconv", "none"), { exitCode: 2 });
    const textconv = `diff.cui-index.textconv=${process.execPath} ${CUI} disk show --textconv`;
    const diff = git(work, "-c", textconv, "diff", "v1", "v2", "--", "disks/root.index/0000");
    t.match(diff, /\n-30 [0-9a-f]{64} [0-9a-f]{16} \d+\+65536 raw\n/, "a chunk of random bytes became zeros");
    t.match(diff, /\n\+.*zero\n/);
  });

  await t.test("adds the disk of a working folder", async (t) => {
    const result = await cui(work, "disk", "add", "--json");
    t.match(JSON.parse(result.stdout), [{ source: "root.img", isUnchanged: false }]);
    t.match(
      (await cui(work, "disk", "add")).stdout,
      /^root.img: .* MiB of new chunks \(disks\/root.index\)\n$/,
    );
    await mkdir(path.join(work, "aside"));
    await rm(path.join(work, "root.img"));
    t.match((await cui(work, "disk", "add")).stdout, /^root.img: unchanged/);
    t.match(await cui(elsewhere, "disk", "add"), { exitCode: 2, stderr: /no CVL file/ });
  });

  await t.test("verifies every chunk, and says which pack is damaged", async (t) => {
    t.match(await cui(elsewhere, "disk", "verify", repository), {
      exitCode: 0,
      stdout: "v1 root: 9 chunks checked, good\nv2 root: 1 chunks checked, good\n",
    });
    t.match(await cui(work, "disk", "verify"), { exitCode: 0, stdout: /^root: 8 chunks checked, good\n$/ });
    const { stdout } = await cui(elsewhere, "disk", "show", repository, "1", "--json");
    const [{ packs }] = JSON.parse(stdout) as [{ packs: { oid: Oid }[] }];
    const [mirror] = (
      await run({ file: "find", args: [path.join(folder, "cache"), "-name", "*.git"] })
    ).split("\n");
    const file = lfsStore(mirror!).pathOf(packs[0]!.oid);
    const bytes = await readFile(file);
    bytes[100] = bytes[100]! ^ 1;
    await writeFile(file, bytes);
    const damaged = await cui(elsewhere, "disk", "verify", repository, "1", "--json");
    t.match(damaged, {
      exitCode: 1,
      stderr: new RegExp(`DISK_CHUNK_CORRUPT: chunk .* in pack ${packs[0]!.oid}`),
    });
    t.match(JSON.parse(damaged.stdout), [
      { version: 1, goodChunks: 8, problems: [{ code: "DISK_CHUNK_CORRUPT", pack: packs[0]!.oid }] },
    ]);
    t.match(await cui(elsewhere, "disk", "export", repository, "1", "vda", "damaged.raw"), {
      exitCode: 1,
      stderr: /DISK_CHUNK_CORRUPT/,
    });
    await t.rejects(readFile(path.join(elsewhere, "damaged.raw")), { code: "ENOENT" });
  });

  await t.test("explains itself", async (t) => {
    for (const verb of ["add", "show", "verify", "export"]) {
      t.match((await cui(elsewhere, "disk", verb, "--help")).stdout, /Example:\n {2}cui disk/);
    }
    t.match(await cui(elsewhere, "disk", "frob"), { exitCode: 2 });
    t.match(await cui(elsewhere, "disk", "show", path.join(folder, "none")), {
      exitCode: 1,
      stderr: /REPOSITORY_MISSING/,
    });
    t.match((await cui(elsewhere, "disk", "show")).stdout, /no program disk/);
  });
});
