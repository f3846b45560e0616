/** `cui check` says what `cui plan` would say before it asks a host, at the same places; no host and no state is there. */
import path from "node:path";
import { test, type Test } from "tap";
import { runCli } from "../../src/cli/main.ts";

interface Answer {
  readonly status: number;
  readonly printed: string;
  readonly warned: string;
}

async function cui(cwd: string, ...args: string[]): Promise<Answer> {
  const printed: string[] = [];
  const warned: string[] = [];
  const status = await runCli(args, {
    ...{ cwd, isTerminal: false },
    env: { ...process.env, CUI_STATE: path.join(cwd, ".state"), XDG_CACHE_HOME: path.join(cwd, ".cache") },
    print: (text) => printed.push(text),
    warn: (text) => warned.push(text),
  });
  return { status, printed: printed.join("\n"), warned: warned.join("\n") };
}

const MACHINE = "format: 1\nmemory: 64\n";
const SITE = "format: 1\nvlans: [5]\n";
const WEB = 'Web extends VMAppliance { var p; vm = "web.vm.yaml"; }\n';
const NET = `${WEB}Net extends VANAppliance { Web w; }\n`;
const OUTER = `${WEB.replace("var p;", "Interface ethernet1;")}Net extends VANAppliance { Web w; vanIF = "w.ethernet1"; }\n`;

interface Case {
  readonly cvl: string;
  readonly machine?: string | null;
  readonly utility?: string;
  /** Codes, as both verbs print them. */
  readonly code: string;
}

const CASES: Record<string, Case> = {
  "no VM description": { cvl: NET, machine: null, code: "VM_DESCRIPTION_MISSING" },
  "a key that is not known": { cvl: NET, machine: `${MACHINE}colour: red\n`, code: "VM_DESCRIPTION_INVALID" },
  "no YAML": { cvl: NET, machine: "{", code: "VM_DESCRIPTION_INVALID" },
  "a disk without an index": {
    cvl: NET,
    machine: `${MACHINE}disks: [{ device: vda, source: root.raw }]\n`,
    code: "VM_DISK_MISSING",
  },
  "a kernel that is not there": {
    cvl: NET,
    machine: `${MACHINE}kernel: vmlinuz\n`,
    code: "VM_DESCRIPTION_MISSING",
  },
  "a disk that is neither": {
    cvl: NET,
    machine: `${MACHINE}disks: [{ device: vda }]\n`,
    code: "NETWORK_PROGRAM_DISK_WITHOUT_SOURCE",
  },
  "a data disk no description has": {
    cvl: NET.replace("Web w;", 'Web w; w.datadisks = { device => "vdb", size => "1" };'),
    code: "NETWORK_DATA_DISK_UNKNOWN_DEVICE",
  },
  "too little memory": { cvl: NET, machine: "format: 1\nmemory: 1\n", code: "NETWORK_MEMORY_OUT_OF_BOUNDS" },
  "too many CPUs": { cvl: NET, machine: `${MACHINE}cpus: 300\n`, code: "NETWORK_CPUS_OUT_OF_BOUNDS" },
  "a requirement": {
    cvl: NET.replace("Web w;", 'Web w; w.requires = "DNS";'),
    code: "NETWORK_REQUIREMENT_UNPROVIDED",
  },
  "too long a name": { cvl: NET.replace("Web w;", `Web ${"n".repeat(200)};`), code: "NETWORK_LIMIT" },
  "no external segment": { cvl: OUTER, code: "UTILITY_NO_EXTERNAL" },
  "no VLAN tag": { cvl: NET, utility: "format: 1\n", code: "UTILITY_VLANS_EXHAUSTED" },
  "no public address": {
    cvl: OUTER,
    utility: `${SITE}external: { vlan: 9, subnet: 198.51.100.0/24, gateway: 198.51.100.1 }\n`,
    code: "UTILITY_ADDRESSES_EXHAUSTED",
  },
  "an address outside the external segment": {
    cvl: OUTER.replace("Web w;", 'Web w; w.ethernet1.ip = "203.0.113.9";'),
    utility: `${SITE}external: { vlan: 9, subnet: 198.51.100.0/24, gateway: 198.51.100.1 }\n`,
    code: "UTILITY_ADDRESS_INVALID",
  },
  "an import the site does not allow": {
    cvl: 'import { url => "/nowhere/DNS", cvl => "DNS.cvl" } DNS;\nNet extends VANAppliance { DNS d; }\n',
    utility: `${SITE}imports: { allow: ["https://example.org/"] }\n`,
    code: "IMPORT_URL_REFUSED",
  },
  "an inventory with mistakes": { cvl: NET, utility: "format: 1\nhosts: 3\n", code: "INVENTORY_INVALID" },
  "a setting nothing enforces": { cvl: NET, utility: `${SITE}trust: [k]\n`, code: "INVENTORY_UNSUPPORTED" },
};

function site(t: Test, { cvl, machine = MACHINE, utility = SITE }: Omit<Case, "code">): string {
  const description = machine === null ? {} : { "web.vm.yaml": machine };
  return t.testdir({ "Net.cvl": cvl, "utility.yaml": utility, ...description });
}

for (const [name, made] of Object.entries(CASES)) {
  test(name, async (t) => {
    const cwd = site(t, made);
    const planned = await cui(cwd, "plan", "Net.cvl");
    t.equal(planned.status, 1, "plan refuses it");
    t.match(planned.warned, new RegExp(`error ${made.code}: `), "plan's code");
    const checked = await cui(cwd, "check", "Net.cvl");
    t.equal(checked.status, 1, "check refuses it");
    t.match(checked.warned, new RegExp(`error ${made.code}: `), "check's code");
    const place = new RegExp(`^(\\S+:\\d+:\\d+): error ${made.code}: .*$`, "m");
    t.equal(
      place.exec(checked.warned)?.[0],
      place.exec(planned.warned)?.[0],
      "the same line at the same place",
    );
    t.match(JSON.parse((await cui(cwd, "check", "Net.cvl", "--json")).printed), [
      { code: made.code, severity: "error" },
    ]);
  });
}

test("all at once, and each once: what is wrong with the network and with its image", async (t) => {
  const cwd = site(t, {
    cvl: NET.replace("Web w;", 'Web w; w.requires = "DNS";'),
    machine: "format: 1\nmemory: 64XiB\ncolour: red\n",
  });
  const errors = ({ warned }: Answer): string[] => (warned.match(/^\S+: error \w+: .*$/gm) ?? []).sort();
  const checked = errors(await cui(cwd, "check", "Net.cvl"));
  t.same(checked, errors(await cui(cwd, "plan", "Net.cvl")));
  t.equal(checked.length, 3);
});

test("what a plan accepts, check accepts", async (t) => {
  const cwd = site(t, { cvl: NET });
  t.match(await cui(cwd, "check", "Net.cvl"), { status: 0, printed: "1 file checked, 0 errors", warned: "" });
});

test("an appliance that is not published yet may lack its disks, but not its VM description", async (t) => {
  const disk = `${MACHINE}kernel: vmlinuz\ndisks: [{ device: vda, source: root.raw }]\n`;
  const cwd = t.testdir({ "Web.cvl": WEB, "web.vm.yaml": disk });
  t.match(await cui(cwd, "check", "Web.cvl"), { status: 0, printed: "1 file checked, 0 errors", warned: "" });
  const wrong = t.testdir({ "Web.cvl": WEB, "web.vm.yaml": "format: 1\n" });
  t.match(await cui(wrong, "check", "Web.cvl"), {
    status: 1,
    warned: /web\.vm\.yaml:1:1: error VM_DESCRIPTION_INVALID/,
  });
  t.match(await cui(t.testdir({ "Web.cvl": WEB }), "check", "Web.cvl"), {
    status: 1,
    warned: /VM_DESCRIPTION_MISSING/,
  });
});
