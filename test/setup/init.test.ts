/** `cui init`: what it writes, what it refuses, and that the CVL of the templates fits together. */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import t from "tap";
import { runCli } from "../../src/cli/main.ts";
import { TEMPLATES } from "../../src/setup/template.ts";
import { inventorySchema } from "../../src/site/inventory.ts";
import { parseVmDescription } from "../../src/appliance/vm-description.ts";
import { git } from "../git/git-fixture.ts";
import { valuesOf } from "../cvl/programs.ts";
import { parse } from "yaml";

async function cui(
  cwd: string,
  ...args: readonly string[]
): Promise<{ status: number; printed: string; warned: string }> {
  const printed: string[] = [];
  const warned: string[] = [];
  const status = await runCli(args, {
    cwd,
    env: process.env,
    isTerminal: false,
    print: (text) => printed.push(text),
    warn: (text) => warned.push(text),
  });
  return { status, printed: printed.join("\n"), warned: warned.join("\n") };
}

function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => !file.startsWith(".git/") && statSync(path.join(folder, file)).isFile())
    .sort();
}

t.test("a configuration for Renovate comes where it is asked for", async (t) => {
  const cwd = t.testdir({});
  t.equal((await cui(cwd, "init", "site", "Acme", "--renovate")).status, 0);
  t.same(
    readFileSync(path.join(cwd, "Acme/renovate.json"), "utf8"),
    readFileSync("templates/renovate/renovate.json", "utf8"),
  );
  const refused = await cui(cwd, "init", "web", "Web", "--renovate");
  t.equal(refused.status, 2);
  t.match(refused.warned, /--renovate goes with the templates derived and site/);
  t.notOk(existsSync(path.join(cwd, "Web")));
});

for (const { name, kind } of TEMPLATES) {
  t.test(`the template ${name} is filled in`, async (t) => {
    const cwd = t.testdir({});
    const { status, printed, warned } = await cui(cwd, "init", name, "new/acme-Thing");
    t.equal(status, 0, warned);
    t.match(printed, /^Made AcmeThing in new\/acme-Thing: [^]*\n {2}cd new\/acme-Thing\n/);
    const folder = path.join(cwd, "new/acme-Thing");
    const files = filesOf(folder);
    t.ok(files.includes("README.md"));
    for (const file of files) {
      t.notMatch(file, /@|^dot-/);
      t.notMatch(readFileSync(path.join(folder, file), "utf8"), /@(Name|name|Base|base_url)@/, file);
    }
    t.equal(git(folder, "symbolic-ref", "HEAD"), "refs/heads/main");
    t.match(readFileSync(path.join(folder, ".gitattributes"), "utf8"), /disks\/packs\/\*\.pack filter=lfs/);
    t.equal(existsSync(path.join(folder, "guest/install.sh")), kind === "machine");
    if (kind === "machine") {
      t.ok(statSync(path.join(folder, "guest/lib/session")).mode & 0o111, "scripts can be run");
      const text = readFileSync(path.join(folder, "acme-thing.vm.yaml"), "utf8");
      const { description, diagnostics } = parseVmDescription(text, "acme-thing.vm.yaml");
      t.strictSame(diagnostics, []);
      t.match(description?.cmdline, /\bno_timer_check\b/, "a timer that is late is no broken one");
      t.match(description, {
        kernel: "vmlinuz",
        disks: [{ device: "vda", source: "root.img" }],
        ready: "guest",
      });
      writeFileSync(path.join(folder, "root.img"), "");
      t.equal(git(folder, "status", "--short", "--", "root.img"), "", "the fat disk stays out of git");
      t.equal(git(folder, "check-attr", "filter", "vmlinuz"), "vmlinuz: filter: lfs");
    }
  });
}

t.test("the appliances of the templates make a network, which can be derived from", async (t) => {
  const cwd = t.testdir({});
  const repositories: Record<string, string> = {};
  const made = [
    "firewall Firewall",
    "dns Dns",
    "web Web",
    "network Office",
    "derived AcmeOffice --base ../Office",
  ];
  for (const words of made) {
    const [template = "", name = "", ...more] = words.split(" ");
    t.equal((await cui(cwd, "init", template, name, ...more)).status, 0);
    repositories[`../${name}@1:${name}.cvl`] = readFileSync(path.join(cwd, name, `${name}.cvl`), "utf8");
  }
  t.equal(
    (await cui(cwd, "init", "site", "site", "--name", "AcmeSite", "--base", "../AcmeOffice")).status,
    0,
  );
  const site = readFileSync(path.join(cwd, "site/AcmeSite.cvl"), "utf8");
  const value = await valuesOf(site, repositories);
  t.strictSame(value("dns.domain"), ["example.org"]);
  t.strictSame(value("firewall.services")?.length, 3);
  t.strictSame(value("dns.dnshosts")?.[0], { unknown: ["firewall.ethernet1.ip"] });
  t.strictSame(value("web.requires"), ["DNS"]);
  t.strictSame(value("vanIF"), ["firewall.ethernet1"]);
  const inventory = inventorySchema.safeParse(
    parse(readFileSync(path.join(cwd, "site/utility.yaml"), "utf8")),
  );
  t.match(inventory, { success: true });
});

t.test("a template can be named and go into an empty folder", async (t) => {
  const cwd = t.testdir({ here: {} });
  t.equal((await cui(path.join(cwd, "here"), "init", "web", ".", "--name", "DNSWeb2")).status, 0);
  t.ok(existsSync(path.join(cwd, "here/DNSWeb2.cvl")));
  t.ok(existsSync(path.join(cwd, "here/dns-web2.vm.yaml")));
});

t.test("what cannot be made is refused before anything is written", async (t) => {
  const cwd = t.testdir({ used: { file: "mine" }, file: "mine" });
  const refusals: [args: string[], status: number, message: RegExp][] = [
    [
      ["nothing", "x"],
      2,
      /there is no template "nothing"[^]*appliance, debian, firewall, dns, web, network, derived, site/,
    ],
    [["../guest", "x"], 2, /there is no template/],
    [["web"], 2, /missing required argument/],
    [["web", "used"], 1, /INIT_FOLDER_NOT_EMPTY: .*used is not an empty folder/],
    [["web", "file"], 1, /INIT_FOLDER_NOT_EMPTY/],
    [["web", "x", "--name", "1a"], 2, /"1a" is no name/],
    [["web", "x", "--name", "a-b"], 2, /"a-b" is no name/],
    [["web", "x", "--name", `a${"b".repeat(64)}`], 2, /is no name/],
    [["web", "…"], 2, /is no name/],
    [["web", "x", "--name", "VMAppliance"], 2, /VMAppliance has a meaning already/],
    [["network", "Web"], 2, /Web has a meaning already/],
    [["derived", "Office"], 2, /Office has a meaning already/],
    [["derived", "x", "--base", '../a"; } b'], 2, /--base expects/],
    [["derived", "x", "--base", "--upload-pack=id"], 2, /--base|--upload-pack/],
    [["derived", "x", "--base", "https://h/1+1"], 2, /--base expects/],
  ];
  for (const [args, status, message] of refusals) {
    const result = await cui(cwd, "init", ...args);
    t.equal(result.status, status, args.join(" "));
    t.match(result.warned, message, args.join(" "));
  }
  t.strictSame(readdirSync(cwd).sort(), ["file", "used"]);
  t.equal(readFileSync(path.join(cwd, "used/file"), "utf8"), "mine");
});

t.test("a base is named by its URL", async (t) => {
  const cwd = t.testdir({});
  await cui(cwd, "init", "derived", "Acme", "--base", "https://appliances.example.org/Group_ware.git/");
  const text = readFileSync(path.join(cwd, "Acme/Acme.cvl"), "utf8");
  t.match(
    text,
    /url => "https:\/\/appliances\.example\.org\/Group_ware\.git\/",\n +cvl => "Group_ware\.cvl"\n} Group_ware;/,
  );
});

t.test("the bundled command finds its templates and hooks beside it, and says when they are gone", (t) => {
  const cwd = t.testdir({});
  const installed = path.join(cwd, "installed");
  mkdirSync(installed);
  cpSync("dist", path.join(installed, "dist"), { recursive: true });
  const init = (dir: string): ReturnType<typeof spawnSync> =>
    spawnSync(process.execPath, [path.join(installed, "dist/cui.js"), "init", "web", dir], {
      cwd,
      encoding: "utf8",
    });
  t.match(init("Web"), { status: 1, stderr: /HOOKS_MISSING/ });
  cpSync("hooks", path.join(installed, "hooks"), { recursive: true });
  t.match(init("Web"), { status: 1, stderr: /INIT_TEMPLATES_MISSING/ });
  t.notOk(existsSync(path.join(cwd, "Web")), "nothing is made that cannot be finished");
  cpSync("templates", path.join(installed, "templates"), { recursive: true });
  t.match(init("Web"), { status: 0 });
  t.end();
});
