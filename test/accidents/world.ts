/**
 * What accidents happen to: a lab of two hosts, a published appliance that keeps numbers on its data disk, and sites that run
 * networks of it. Made once; `reset` gives the next sequence of accidents new sites with nothing running.
 */
import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import path from "node:path";
import { createOffice, type Office } from "../e2e/office.ts";
import { CuiFailure } from "../e2e/programs.ts";
import { readLabState } from "../../src/host/lab/lab-state.ts";
import { keeperDisk } from "./keeper-guest.ts";
import { createHostSide, type HostSide } from "./host-side.ts";

export const NETWORKS = ["One", "Two"] as const;
export type NetworkName = (typeof NETWORKS)[number];

export interface World {
  readonly office: Office;
  readonly hosts: readonly HostSide[];
  /** Folder of things that accidents moved away; still there at the end of a sequence. */
  readonly aside: string;
  readonly site: string;
  readonly copiedSite: string;
  readonly otherSite: string;
  readonly state: string;
  readonly otherState: string;
  readonly cache: string;
  reset(): Promise<void>;
  close(): Promise<void>;
}

/** One has a gateway with a public address and a machine behind it, Two a gateway alone. */
const ROOTS: Readonly<Record<NetworkName, string>> = {
  One: '  Gate a;\n  Keeper b;\n  b.requires = "A";\n  a.provides = "A";\n',
  Two: "  Gate a;\n",
};

const KEEPER = `CVL = "0.8";
Keeper extends VMAppliance {
  var note;
  datadisks = { device => "hda", size => "4MiB" };
  vm = "keeper.vm.yaml";
}
`;
const GATE = `CVL = "0.8";
Gate extends VMAppliance {
  var note;
  Interface ethernet1;
  datadisks = { device => "hda", size => "4MiB" };
  vm = "keeper.vm.yaml";
}
`;
const DESCRIPTION = `format: 1
arch: x86_64
memory: 16MiB
cpus: 1
nic: virtio
disks:
  - { device: vda, bus: virtio, source: root.img }
  - { device: hda, bus: ide }
ready: running
`;

export async function createWorld(): Promise<World> {
  const office = await createOffice();
  const { at } = office;
  try {
    await publishKeeper(office);
    await office.cui("lab", "up", "--hosts", "2", "--dir", at("lab"), "--owner", String(process.pid));
    const lab = await readLabState(at("lab"));
    const hosts = (lab?.hosts ?? []).map((host) => createHostSide(host, office.cuiProgram));
    // The second host's folder is a small file system of its own: it can be full, and it can be not mounted.
    await hosts[1]?.useSmallFileSystem();
    await cp(at("cache"), at("cache.whole"), { recursive: true, verbatimSymlinks: true });
    const world: World = {
      office,
      hosts,
      aside: at("aside"),
      site: at("site"),
      copiedSite: at("copied"),
      otherSite: at("other"),
      state: at("state.git"),
      otherState: at("other.git"),
      cache: at("cache"),
      reset: () => reset(world),
      close: () => office.close(),
    };
    return world;
  } catch (error) {
    await office.close();
    throw error;
  }
}

async function publishKeeper(office: Office): Promise<void> {
  const { at, cui } = office;
  const folder = at("Keeper");
  await cui("init", "appliance", folder);
  await writeFile(path.join(folder, "Keeper.cvl"), KEEPER);
  await writeFile(path.join(folder, "Gate.cvl"), GATE);
  await writeFile(path.join(folder, "keeper.vm.yaml"), DESCRIPTION);
  await cui("create", at("repositories/Keeper"));
  await mkdir(at("fresh"));
  await cui("init", "site", at("fresh"));
  for (const version of [1, 2]) {
    await writeFile(path.join(folder, "root.img"), keeperDisk(version));
    await office.publish("Keeper");
    // The sites' lock stays at the first version: `cui update --latest` moves it.
    if (version === 1) await makeSite(office, at("fresh"));
  }
}

async function makeSite(office: Office, site: string): Promise<void> {
  const { at } = office;
  for (const name of NETWORKS) {
    const imports = ["Keeper", "Gate"].map(
      (object) => `import { url => "${at("repositories/Keeper")}", cvl => "${object}.cvl" } ${object};\n`,
    );
    const body = `${ROOTS[name]}  vanIF = "a.ethernet1";\n  defaultroute = a.ethernet0.ip;\n`;
    const file = path.join(site, `${name}.cvl`);
    await writeFile(file, `CVL = "0.8";\n${imports.join("")}${name} extends VANAppliance {\n${body}}\n`);
    const outcome = await office.tryCui(["lock", file], { cwd: site });
    if (outcome.code !== 0) throw new CuiFailure(["lock", name], outcome);
  }
}

async function reset(world: World): Promise<void> {
  const { office, hosts } = world;
  const { at } = office;
  await Promise.all(hosts.map((host) => host.reset()));
  const used = [world.aside, world.site, world.copiedSite, world.otherSite, world.cache];
  const states = [world.state, world.otherState].flatMap((state) => [state, `${state}.key`]);
  await Promise.all([...used, ...states].map((each) => rm(each, { recursive: true, force: true })));
  await cp(at("cache.whole"), world.cache, { recursive: true, verbatimSymlinks: true });
  await mkdir(world.aside);
  await makeUtility(world, world.site);
  await makeUtility(world, world.otherSite);
}

/** A site of its own id: hosts know nothing of its networks. */
async function makeUtility({ office, hosts }: World, site: string): Promise<void> {
  await cp(office.at("fresh"), site, { recursive: true });
  const lines = [
    "format: 1",
    `site: "${randomBytes(6).toString("hex")}"`,
    "hosts:",
    ...hosts.map(({ lab }) => `  - { name: ${lab.name}, address: "${lab.address}" }`),
    "vlans: [100-199]",
    "external: { vlan: untagged, subnet: 203.0.113.0/24, gateway: 203.0.113.1 }",
    "addresses: [203.0.113.10-203.0.113.99]",
    "networks: []",
  ];
  await writeFile(path.join(site, "utility.yaml"), `${lines.join("\n")}\n`);
}
