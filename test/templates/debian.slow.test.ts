/** The Debian template, built with mmdebstrap and booted with systemd; its parameters come on a NoCloud volume. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import t from "tap";
import { buildAppliance } from "../../scripts/build-appliance.ts";
import { GuestMachine } from "./guest-machine.ts";

const parameters = [
  "name=deb",
  "greeting=Hello 100%25",
  "ethernet0.mac=52:54:00:00:00:01",
  "ethernet0.ip=10.0.2.15",
  "ethernet0.netmask=255.255.255.0",
  "ethernet0.defaultroute=10.0.2.2",
];

t.setTimeout(3_000_000);

t.test("a Debian system is an appliance", async (t) => {
  const folder = t.testdir({});
  const directory = path.join(folder, "Deb");
  const { buildMs } = await buildAppliance({ template: "debian", directory, name: "Deb" });
  t.comment(`built in ${(buildMs / 1000).toFixed(1)} s`);

  writeFileSync(path.join(folder, "parameters"), parameters.map((line) => `${line}\n`).join(""));
  const seed = path.join(folder, "seed.iso");
  const iso = ["-quiet", "-R", "-V", "cidata", "-o", seed, path.join(folder, "parameters")];
  execFileSync("genisoimage", iso, { stdio: "ignore" });
  const dataDisk = path.join(folder, "data.img");
  execFileSync("truncate", ["-s", "32M", dataDisk]);

  const machine = await GuestMachine.boot(t, {
    folder: directory,
    memoryMib: 384,
    append: "net.ifnames=0",
    sent: null,
    cards: [{ mac: "52:54:00:00:00:01", netdevs: ["user,restrict=on"] }],
    disks: [
      { file: dataDisk, format: "raw" },
      { file: seed, format: "raw" },
    ],
  });
  t.comment(`READY after ${((await machine.ready()) / 1000).toFixed(1)} s`);
  t.strictSame(machine.lines, ["HELLO=1", "STATUS=Hello 100% from Deb", "READY=1"]);

  await t.test("parameters, network and data disk are as everywhere", async (t) => {
    const seen = await machine.console(
      "echo host=$(hostname); ip -4 -o addr show ethernet0; ip route; collective-disk vdb /mnt; df -k /mnt; systemctl --failed --no-legend | wc -l",
    );
    t.match(seen, /host=deb\r\n/);
    t.match(seen, /ethernet0 +inet 10\.0\.2\.15\/24/);
    t.match(seen, /default via 10\.0\.2\.2 dev ethernet0/);
    t.match(seen, /\/dev\/vdb +\d+ .* \/mnt\r\n0\r\n/);
  });

  await t.test("changed parameters come into force without a restart", async (t) => {
    const changed = parameters.map((line) => line.replace("greeting=Hello", "greeting=Bye"));
    t.equal(await machine.send(changed), "RELOADED=1");
    t.equal(await machine.waitFor(/^STATUS=Bye/), "STATUS=Bye 100% from Deb");
  });

  await t.test("the power button switches it off", async (t) => {
    const downMs = await machine.powerDown();
    t.comment(`off after ${(downMs / 1000).toFixed(1)} s`);
    t.match(execFileSync("/sbin/e2fsck", ["-fn", dataDisk], { encoding: "utf8", stdio: "pipe" }), /Pass 5/);
  });
});
