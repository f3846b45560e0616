/** QEMU as distributions set it up, a user of its own, below a host manager whose umask lets nobody else in (`UMask=0077`). */
import { chmod, readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import t from "tap";
import { checkFolders } from "../../src/host/check-folders.ts";
import { createHostManager } from "../../src/host/host-manager.ts";
import { makePassable } from "../../src/host/passable-folder.ts";
import { run } from "../../src/io.ts";
import { hostLab } from "./fixtures/host-lab.ts";
import { labExec } from "./fixtures/lab-exec.ts";
import { specOf } from "./fixtures/test-guest.ts";

const USER = "libvirt-qemu";

t.test("folders can be passed whatever the umask", async (t) => {
  const top = t.testdir({ old: {} });
  const before = process.umask(0o077);
  t.teardown(() => process.umask(before));
  const modeOf = async (name: string): Promise<number> => (await stat(path.join(top, name))).mode & 0o7777;
  await chmod(path.join(top, "old"), 0o700);
  await makePassable(path.join(top, "old", "new", "networks"), path.join(top, "old", "new"));
  t.equal(await modeOf("old"), 0o700, "what is not ours is left alone");
  t.equal(await modeOf("old/new"), 0o711);
  t.equal(await modeOf("old/new/networks"), 0o711);
  await chmod(path.join(top, "old/new"), 0o750);
  await makePassable(path.join(top, "old/new/networks/n1/machines"), path.join(top, "old/new"));
  t.equal(await modeOf("old/new"), 0o751, "one of an earlier run is mended");
  t.equal(await modeOf("old/new/networks/n1/machines"), 0o711);
  await makePassable(path.join(top, "a/b/c"));
  t.same([await modeOf("a"), await modeOf("a/b"), await modeOf("a/b/c")], [0o711, 0o711, 0o711]);
});

const hasUser = await run({ file: "getent", args: ["passwd", USER] }).catch(() => undefined);
if (hasUser === undefined) t.comment(`not tried: there is no user ${USER} here`);
else {
  t.test("QEMU as a user of its own", async (t) => {
    const { lab, guest, options, folder } = await hostLab(t);
    const { folders, libvirtUri } = options("masked");
    const exec = (...[file = "", ...args]: string[]): Promise<string> =>
      labExec({ directory: lab.directory, place: "host1" }, { file, args });
    const configuration = path.join(lab.directory, "host1", "etc-libvirt", "qemu.conf");
    const text = await readFile(configuration, "utf8");
    const changed = text
      .replace(/^user = .*$/m, `user = "${USER}"`)
      .replace(/^group = .*$/m, `group = "${USER}"`)
      .replace(/^dynamic_ownership = .*$/m, "dynamic_ownership = 1");
    await writeFile(configuration, changed);
    await exec(
      "sh",
      "-c",
      "kill $(cat /run/libvirtd.pid); while [ -e /run/libvirtd.pid ]; do sleep 0.1; done; libvirtd --daemon",
    );
    // What tests make is root's alone; a host's /var/lib is not.
    for (const each of [path.dirname(folder), folder, path.dirname(folders.secretsDirectory)])
      await makePassable(each);
    await makePassable(path.dirname(folders.directory));

    const before = process.umask(0o077);
    t.teardown(() => process.umask(before));
    const host = await createHostManager(options("masked"));
    t.teardown(() => host.close());
    const image = guest.image();
    const id = { networkId: "masked", component: "w" };
    const fence = { networkId: "masked", token: 1 };
    const disks = [{ device: "vdb", sizeBytes: 2 ** 20 }];
    await host.prepareImage(fence, image);
    await host.prepareDataDisks(fence, id, disks);
    await host.startMachine(fence, specOf(image, { id, dataDisks: disks }));
    t.match(await host.awaitReady(id, 600_000), { state: "ready" });
    t.match(await checkFolders(libvirtUri, folders), {
      result: "ok",
      detail: /QEMU's user \(uid \d+, gid \d+\) can pass/,
    });

    const images = path.join(folders.directory, "images");
    await chmod(images, 0o700);
    t.match(await checkFolders(libvirtUri, folders), {
      result: "missing",
      detail: new RegExp(`cannot enter ${images}$`),
      hint: `chmod o+x ${images}`,
    });
    await host.stopMachine(fence, id, 100);
    await host.prepareImage(fence, image);
    await host.startMachine(fence, specOf(image, { id, dataDisks: disks }));
    await host.stopMachine(fence, id, 100);
  });
}
