/** The NoCloud seed, as cloud-init reads it: YAML 1.1. */
import fc from "fast-check";
import t from "tap";
import { parse } from "yaml";
import { renderSeedFiles } from "../../src/host/cloud-init.ts";
import type { MachineSpec } from "../../src/host/host.ts";
import { run } from "../../src/io.ts";

function seedOf(component: string, mac: string, nic = "ethernet0"): Readonly<Record<string, string>> {
  return renderSeedFiles({
    id: { networkId: "n1", component },
    image: { digest: "d".repeat(64) },
    parameterLines: [
      `${nic}.ip=10.0.5.2`,
      `${nic}.netmask=255.255.255.0`,
      `${nic}.defaultroute=10.0.5.1`,
      "a=no",
    ],
    interfaces: [{ name: nic, mac }],
  } as unknown as MachineSpec);
}

interface Seed {
  readonly "meta-data": { readonly "instance-id": string; readonly "local-hostname": string };
  readonly "user-data": { readonly write_files: readonly { readonly permissions: string }[] };
  readonly "network-config": {
    readonly version: number;
    readonly ethernets: Readonly<
      Record<string, { readonly match: { readonly macaddress: string }; readonly dhcp4: boolean }>
    >;
  };
}

function check(seed: Seed, component: string, mac: string, nic: string): boolean {
  const ethernet = seed["network-config"].ethernets[nic];
  return (
    seed["meta-data"]["local-hostname"] === component &&
    ethernet?.match.macaddress === mac &&
    !ethernet.dhcp4 &&
    seed["network-config"].version === 2 &&
    seed["user-data"].write_files[0]?.permissions === "0600"
  );
}

/** What YAML 1.1 takes for something else, as components may be named, and MAC addresses that are numbers to base 60. */
const NAMES = [
  "on",
  "off",
  "yes",
  "no",
  "y",
  "n",
  "Y",
  "NO",
  "true",
  "null",
  "Null",
  "e1",
  "x0",
  "inf",
  "nan",
];
const MACS = [
  "52:54:00:12:34:56",
  "10:11:12:13:14:15",
  "02:00:00:00:00:01",
  "0e:00:00:00:00:00",
  "11:22:33:44:55:59",
];

t.test("every string is one for a reader of YAML 1.1", (t) => {
  const read = (component: string, mac: string, nic: string): boolean => {
    const files = Object.entries(seedOf(component, mac, nic)).filter(([name]) => name !== "parameters");
    const seed = Object.fromEntries(
      files.map(([name, text]) => [name, parse(text, { version: "1.1" }) as unknown]),
    );
    return check(seed as unknown as Seed, component, mac, nic);
  };
  for (const name of NAMES) for (const mac of MACS) t.ok(read(name, mac, name), `${name} ${mac}`);
  const byte = fc.integer({ min: 0, max: 255 }).map((value) => value.toString(16).padStart(2, "0"));
  const macs = fc.array(byte, { minLength: 6, maxLength: 6 }).map((bytes) => bytes.join(":"));
  fc.assert(
    fc.property(fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9]{0,8}$/), macs, (name, mac) => read(name, mac, name)),
  );
  t.end();
});

t.test("so does PyYAML, which cloud-init uses", async (t) => {
  const python = (script: string, input: string): Promise<string> =>
    run({ file: "python3", args: ["-c", script], input });
  if ((await python("import yaml", "").catch(() => undefined)) === undefined) {
    t.comment("not compared: no PyYAML here");
    return;
  }
  const seeds = NAMES.flatMap((name) => MACS.map((mac) => ({ name, mac, files: seedOf(name, mac, name) })));
  const script =
    "import json, sys, yaml\n" +
    "seeds = json.load(sys.stdin)\n" +
    "print(json.dumps([{k: yaml.safe_load(v) for k, v in s['files'].items() if k != 'parameters'} for s in seeds]))\n";
  const read = JSON.parse(await python(script, JSON.stringify(seeds))) as readonly Seed[];
  for (const [at, { name, mac }] of seeds.entries())
    t.ok(check(read[at] as Seed, name, mac, name), `${name} ${mac}`);
});
