/** What lies on a host is not believed: images, kernels and what the mirror has are found damaged in every way, and repaired. */
import {
  chmodSync,
  copyFileSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { test, type Test } from "tap";
import { loadAppliance } from "../../src/appliance/load.ts";
import type { MachineImage } from "../../src/appliance/machine-image.ts";
import { mirrorFolder } from "../../src/appliance/mirror-cache.ts";
import { withMirrors } from "../../src/appliance/mirrors.ts";
import { resolveImages } from "../../src/appliance/resolve-machine-images.ts";
import { evaluate } from "../../src/cvl/evaluate/evaluate.ts";
import type { FetchImage } from "../../src/host/host-context.ts";
import { fetchImage } from "../../src/host/images/fetch-image.ts";
import { blameImage, rememberImage, verifyImages } from "../../src/host/images/verify-images.ts";
import { publish } from "../../src/publish/publish.ts";
import { createRepository } from "../../src/setup/create.ts";
import { changeDisk, makeDisk, sha256, writeAppliance } from "../appliance/appliance-fixture.ts";
import { gitAt, scratch, writeFiles } from "../git/git-fixture.ts";

interface Published {
  readonly repository: string;
  readonly directory: string;
  readonly cache: string;
  readonly disk: Buffer;
  readonly images: readonly [MachineImage, MachineImage];
  readonly fetch: FetchImage;
}

/** Two versions of an appliance, and a host that has both. */
async function makeHost(t: Test): Promise<Published> {
  const { folder, cache } = scratch(t);
  const repository = path.join(folder, "repos/DNS");
  const work = path.join(folder, "dns");
  const directory = path.join(folder, "images");
  await createRepository(gitAt(repository));
  const disk = makeDisk();
  const images: MachineImage[] = [];
  const fetch: FetchImage = (request) => fetchImage({ git: gitAt(), cache, ...request });
  for (const content of [disk, changeDisk(disk)]) {
    writeAppliance(work, content); // with a kernel of its own
    await publish(gitAt(work), { repository, cvl: "DNS.cvl", cwd: work, cache });
    const version = images.length + 1;
    const image = await imageOf(path.join(folder, `site-${version}`), { repository, version, cache });
    images.push(image);
    await fetch({ image, directory });
  }
  const [one, two] = images;
  if (one === undefined || two === undefined) throw new Error("not published");
  return { repository, directory, cache, disk, images: [one, two], fetch };
}

async function imageOf(
  site: string,
  { repository, version, cache }: { repository: string; version: number; cache: string },
): Promise<MachineImage> {
  const imported = `import { url => "${repository}", cvl => "DNS.cvl", version => "${version}" } DNS;`;
  writeFiles(site, { "x.cvl": `${imported}\nX extends DNS { domain = "x"; }\n` });
  const git = gitAt(site);
  const loaded = await loadAppliance(git, {
    file: "x.cvl",
    cwd: site,
    cache,
    versions: "locked",
    writeLock: false,
  });
  if (loaded.program === undefined) throw new Error(JSON.stringify(loaded.diagnostics));
  const { tree } = evaluate(loaded.program);
  const resolved = await withMirrors(git, (mirrors) => resolveImages(mirrors, loaded, tree), { cache });
  const [image] = resolved.images.values();
  if (image === undefined) throw new Error(JSON.stringify(resolved.diagnostics));
  return image;
}

/** Ways in which a file is not what it was; `other` is the same file of another version. */
const DAMAGES: Readonly<Record<string, (content: Buffer, other: Buffer) => Buffer>> = {
  "a bit": (content) => {
    const changed = Buffer.from(content);
    changed[100] = (changed[100] ?? 0) ^ 1;
    return changed;
  },
  cut: (content) => content.subarray(0, content.length >> 1),
  empty: () => Buffer.alloc(0),
  "a hole": (content) => Buffer.from(content).fill(0, 0, Math.min(4096, content.length)),
  longer: (content) => Buffer.concat([content, Buffer.alloc(512)]),
  "of the right size": (content) => Buffer.alloc(content.length, 7),
  "another version's": (_, other) => other,
};

const diskOf = (host: Published, at: 0 | 1): string =>
  path.join(host.directory, `${host.images[at].programDisks[0]?.indexDigest ?? ""}.raw`);
const kernelOf = (host: Published, at: 0 | 1): string =>
  path.join(host.directory, host.images[at].kernel?.oid ?? "");

function overwrite(file: string, content: Uint8Array): void {
  chmodSync(file, 0o644);
  writeFileSync(file, content);
}

test("a damaged image or kernel is found and repaired, beside one that runs", async (t) => {
  const host = await makeHost(t);
  const { directory, fetch, images } = host;
  for (const image of images) await rememberImage(directory, image);
  const verify = () => verifyImages({ directory, fetchImage: fetch });
  t.same(
    (await verify()).map(({ state }) => state),
    ["whole", "whole", "whole", "whole"],
  );
  for (const fileOf of [diskOf, kernelOf]) {
    const [file, other] = [fileOf(host, 0), fileOf(host, 1)];
    const whole = readFileSync(file);
    for (const [how, damage] of Object.entries(DAMAGES)) {
      overwrite(file, damage(whole, readFileSync(other)));
      const before = statSync(file).ino;
      const found = (await verify()).filter(({ state }) => state !== "whole");
      t.match(found, [{ file, state: "repaired" }], how);
      t.not(found[0]?.problem, "");
      t.ok(readFileSync(file).equals(whole), `${how}: as it was`);
      t.not(statSync(file).ino, before, "nothing was written into the file a machine may run from");
    }
  }
  // Without the repository it is named and stays; without a record it goes, and is fetched by the next start.
  const [image] = images;
  const file = kernelOf(host, 0);
  const whole = readFileSync(file);
  overwrite(file, Buffer.alloc(whole.length));
  renameSync(host.repository, `${host.repository}-away`);
  rmSync(host.cache, { recursive: true });
  t.match(
    (await verify()).filter(({ state }) => state !== "whole"),
    [{ file, state: "damaged", problem: /DNS/ }],
  );
  renameSync(`${host.repository}-away`, host.repository);
  rmSync(path.join(directory, `${image.digest}.image.json`));
  t.match(
    (await verify()).filter(({ state }) => state !== "whole"),
    [{ file, state: "removed" }],
  );
  await fetch({ image, directory });
  t.ok(readFileSync(file).equals(whole));
});

test("a start that failed says what it was started from, and the next one has it whole", async (t) => {
  const host = await makeHost(t);
  const { directory, fetch, images } = host;
  const [image] = images;
  const cause = new Error("not ready");
  const blame = () => blameImage({ image, directory, fetchImage: fetch, cause });
  t.equal(await blame(), undefined, "nothing is damaged");
  const file = diskOf(host, 0);
  overwrite(file, Buffer.alloc(host.disk.length));
  const error = await blame();
  t.match(error, { code: "HOST_IMAGE_DAMAGED", cause });
  t.ok(error?.message.includes(file), "with its path");
  t.ok(readFileSync(file).equals(host.disk));
  rmSync(path.join(directory, path.basename(file).replace(".raw", ".index")), { recursive: true });
  t.match((await blame())?.message, /its index is missing/);
  overwrite(file, Buffer.alloc(10));
  renameSync(host.repository, `${host.repository}-away`);
  rmSync(host.cache, { recursive: true });
  t.match((await blame())?.message, new RegExp(`${file} is damaged .* it was not fetched anew`));
});

test("what the mirror has is not believed where it enters: it is fetched anew", async (t) => {
  const host = await makeHost(t);
  const [image] = host.images;
  const objects = path.join(mirrorFolder(host.repository, host.cache), "lfs/objects");
  const stored = readdirSync(objects, { recursive: true, encoding: "utf8" })
    .filter((name) => /[0-9a-f]{64}$/.test(name))
    .map((name) => path.join(objects, name));
  t.ok(stored.length >= 3, "packs and kernels");
  for (const [how, damage] of Object.entries(DAMAGES)) {
    if (how === "another version's") continue; // of another size: "cut" is the same
    for (const file of stored) overwrite(file, damage(readFileSync(file), Buffer.alloc(0)));
    rmSync(host.directory, { recursive: true });
    await host.fetch({ image, directory: host.directory });
    t.ok(readFileSync(diskOf(host, 0)).equals(host.disk), how);
    t.equal(sha256(readFileSync(kernelOf(host, 0))), image.kernel?.oid, how);
  }
  const kernel = stored.find((file) => path.basename(file) === image.kernel?.oid) ?? "";
  copyFileSync(path.join(host.repository, "lfs/objects", path.relative(objects, kernel)), `${kernel}-whole`);
  overwrite(path.join(host.repository, "lfs/objects", path.relative(objects, kernel)), Buffer.alloc(5000));
  overwrite(kernel, Buffer.alloc(5000));
  rmSync(host.directory, { recursive: true });
  await t.rejects(host.fetch({ image, directory: host.directory }), { code: "DISK_PACK_CORRUPT" });
  t.notOk(readdirSync(host.directory).includes(image.kernel?.oid ?? ""), "nothing unverified enters");
});
