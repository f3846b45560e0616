/** `cui diff` and `cui graph` on a real site: published appliances, commits, a working tree. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test, type Test } from "tap";
import { runCli } from "../../src/cli/main.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { createRepository } from "../../src/setup/create.ts";
import { publish } from "../../src/publish/publish.ts";
import { changeDisk, makeDisk, writeAppliance } from "../appliance/appliance-fixture.ts";
import { git, makeVersions, scratch, writeFiles, gitAt } from "../git/git-fixture.ts";

const WEB = 'Web extends VMAppliance { var title; vm = "web.vm.yaml"; requires = "DNS"; }\n';
const FIREWALL = 'Firewall extends VMAppliance { Interface ethernet1; vm = "fw.vm.yaml"; }\n';
const DISKLESS = "format: 1\nmemory: 64MiB\ndisks: []\n";

interface Site {
  readonly folder: string;
  readonly repositories: string;
  cui(...args: string[]): Promise<{ readonly status: number; readonly out: string; readonly err: string }>;
  commit(files: Readonly<Record<string, string>>): void;
  office(options?: { readonly title?: string; readonly dns?: number; readonly more?: string }): string;
}

/** DNS v1 and v2 with disks, Web and Firewall without; an empty site. */
async function makeSite(t: Test): Promise<Site> {
  const { folder: top, cache } = scratch(t);
  process.env["XDG_CACHE_HOME"] = cache;
  const repositories = path.join(top, "repos");
  const work = path.join(top, "dns");
  await createRepository(gitAt(path.join(repositories, "DNS")));
  const disk = makeDisk();
  writeAppliance(work, disk);
  const options = {
    repository: path.join(repositories, "DNS"),
    cvl: "DNS.cvl",
    cwd: work,
    cache: path.join(cache, "cui"),
  };
  writeFileSync(
    path.join(work, "DNS.cvl"),
    'DNS extends VMAppliance { var hosts; vm = "dns.vm.yaml"; provides = "DNS"; datadisks = { device => "vdb", size => "16MiB" }; }\n',
  );
  await publish(gitAt(), options);
  writeFileSync(path.join(work, "root.img"), changeDisk(disk));
  await publish(gitAt(), options);
  makeVersions(path.join(repositories, "Web"), [{ "Web.cvl": WEB, "web.vm.yaml": DISKLESS }]);
  makeVersions(path.join(repositories, "Firewall"), [{ "Firewall.cvl": FIREWALL, "fw.vm.yaml": DISKLESS }]);
  const folder = path.join(top, "site");
  mkdirSync(folder);
  git(folder, "init", "--quiet", "--initial-branch=main", ".");
  return {
    folder,
    repositories,
    cui: async (...args) => {
      const [out, err]: [string[], string[]] = [[], []];
      const context = {
        cwd: folder,
        env: {},
        isTerminal: false,
        print: (text: string) => void out.push(text),
        warn: (text: string) => void err.push(text),
      };
      const status = await runCli(args, context);
      return { status, out: out.join("\n"), err: err.join("\n") };
    },
    commit: (files) => {
      writeFiles(folder, files);
      git(folder, "add", "--all");
      git(folder, "commit", "--quiet", "--message", "change");
    },
    office: ({ title = "Acme", dns = 1, more = "" } = {}) => `
import { url => "${repositories}/DNS", cvl => "DNS.cvl", version => "${dns}" } DNS;
import { url => "${repositories}/Web", cvl => "Web.cvl" } Web;
import { url => "${repositories}/Firewall", cvl => "Firewall.cvl" } Firewall;
Office extends VANAppliance {
  DNS d;
  Web w;
  Firewall f;
  d.hosts = { name => w.name, ip => w.ethernet0.ip };
  w.title = "${title}";
  vanIF = "f.ethernet1";
  defaultroute = f.ethernet0.ip;
  ${more}
}
`,
  };
}

test("cui diff between commits and the working tree", async (t) => {
  const site = await makeSite(t);
  site.commit({ "office.cvl": site.office() });
  site.commit({ "office.cvl": site.office({ dns: 2, title: "Acme Ltd" }) });

  await t.test("two commits: the version step, the parameter, the bytes", async (t) => {
    const { status, out, err } = await site.cui("diff", "HEAD~1", "HEAD", "office.cvl");
    t.equal(err, "");
    t.equal(status, 0);
    t.match(out, "Office: 1 machine to replace, 1 machine to be told new parameters (class replace)");
    t.match(
      out,
      /~ replace +d +v1 → v2, fetch \d+\.?\d* KiB, class replace\n +DNS v1 → v2 +HEAD:office\.cvl:6\n +program disk vda changed/,
    );
    t.match(out, /> send parameters +w +class parameters\n +title: "Acme" → "Acme Ltd" +HEAD:office\.cvl:10/);
    t.match(out, /outage +d, which w needs/);
  });

  await t.test("without a second commit the working tree; a clean one changes nothing", async (t) => {
    t.match((await site.cui("diff", "HEAD")).out, "Office: nothing to do");
    writeFiles(site.folder, { "office.cvl": site.office({ dns: 2, title: "Acme Inc" }) });
    const { out } = await site.cui("diff", "HEAD", "office.cvl");
    t.match(out, /title: "Acme Ltd" → "Acme Inc" +office\.cvl:10/);
    git(site.folder, "checkout", "--quiet", "office.cvl");
  });

  await t.test(
    "--json has the whole plan, with an input digest that depends on contents alone",
    async (t) => {
      const read = async (...args: string[]): Promise<{ file: string; plan: Plan }[]> =>
        JSON.parse((await site.cui("diff", "--json", ...args)).out) as { file: string; plan: Plan }[];
      const [between] = await read("HEAD~1", "HEAD");
      const [toTree] = await read("HEAD~1");
      t.match(between, { file: "office.cvl", plan: { format: 1, class: "replace" } });
      t.same(
        between!.plan.actions.map(({ id }) => id),
        ["replace d", "send-parameters w"],
      );
      t.equal(between!.plan.inputDigest, toTree!.plan.inputDigest, "the working tree is what HEAD is");
      t.not(between!.plan.inputDigest, (await read("HEAD", "HEAD~1"))[0]!.plan.inputDigest);
      t.ok(between!.plan.forecast.fetchBytes["d"]! > 0);
    },
  );

  await t.test("a file on one side only: everything starts, everything is removed", async (t) => {
    site.commit({ "lab.cvl": site.office().replace("Office extends", "Lab extends") });
    const added = await site.cui("diff", "HEAD~1", "HEAD");
    t.match(added.out, /^lab\.cvl is new in HEAD: everything starts\nLab: 3 machines to start/);
    t.match(added.out, /office\.cvl\nOffice: nothing to do/);
    rmSync(path.join(site.folder, "lab.cvl"));
    const gone = await site.cui("diff", "HEAD");
    t.match(
      gone.out,
      /^lab\.cvl is gone in the working tree: everything is removed\nLab: 3 machines to remove/,
    );
    t.match(gone.out, /- remove +d +v1, class data\n +no longer declared/);
    git(site.folder, "checkout", "--quiet", "lab.cvl");
  });

  await t.test("the inventory names the networks", async (t) => {
    writeFiles(site.folder, {
      "utility.yaml": "format: 1\nnetworks:\n  - { id: office, file: office.cvl }\n",
    });
    const { out } = await site.cui("diff", "HEAD~1");
    t.equal(out, "Office: nothing to do");
    rmSync(path.join(site.folder, "utility.yaml"));
  });

  await t.test("mistakes: one clear error, exit status 1; wrong usage, 2", async (t) => {
    const expectError = async (args: string[], status: number, pattern: RegExp): Promise<void> => {
      const result = await site.cui("diff", ...args);
      t.match(result.err, pattern);
      t.equal(result.status, status);
    };
    await expectError(["nowhere"], 1, /REPOSITORY_REVISION_MISSING/);
    await expectError(["--upload-pack=x"], 2, /unknown option/);
    await expectError(
      ["HEAD", "HEAD", "gone.cvl"],
      1,
      /INVALID_INPUT: gone\.cvl exists neither in HEAD nor in HEAD/,
    );
    await expectError(["office.cvl"], 2, /USAGE: expected a commit first/);
    await expectError([], 2, /missing required argument/);
    writeFiles(site.folder, { "office.cvl": site.office({ more: 'w.requires = "DHCP"; vanIF = "x";' }) });
    await expectError(
      ["HEAD", "office.cvl"],
      1,
      /office\.cvl:13:\d+: error NETWORK_VANIF_NO_INTERFACE[^]*NETWORK_REQUIREMENT_UNPROVIDED[^]*cannot be planned/,
    );
    const required =
      'Web extends VMAppliance { var "required" title; vm = "web.vm.yaml"; requires = "DNS"; }\n';
    makeVersions(path.join(site.repositories, "Strict"), [{ "Web.cvl": required, "web.vm.yaml": DISKLESS }]);
    writeFiles(site.folder, {
      "office.cvl": site.office().replace("/Web", "/Strict").replace("w.title", "// w.title"),
    });
    await expectError(
      ["HEAD", "office.cvl"],
      1,
      /NETWORK_PARAMETER_MISSING: the required parameter w\.title has no value/,
    );
    const shrunk = site.office({ dns: 2, more: 'd.datadisks = { device => "vdb", size => "8MiB" };' });
    writeFiles(site.folder, { "office.cvl": shrunk });
    await expectError(["HEAD", "office.cvl"], 1, /PLAN_REFUSED: the plan of office\.cvl/);
    t.match(
      (await site.cui("diff", "HEAD", "office.cvl")).out,
      /refused: PLAN_DATA_DISK_SHRINKS: the data disk vdb of d/,
    );
    git(site.folder, "checkout", "--quiet", "office.cvl");
  });
});

test("cui graph in its three languages", async (t) => {
  const site = await makeSite(t);
  site.commit({ "office.cvl": site.office() });
  site.commit({ "office.cvl": site.office({ dns: 2 }) });
  const mermaid = await site.cui("graph", "office.cvl");
  t.equal(mermaid.err, "");
  t.match(mermaid.out, /^flowchart TB\n/);
  t.match(mermaid.out, "DNS v2");
  t.match((await site.cui("graph", "office.cvl", "--rev", "HEAD~1")).out, "DNS v1");
  t.match((await site.cui("graph", "office.cvl", "--since", "HEAD~1")).out, "<i>replace</i>");
  t.match((await site.cui("graph", "office.cvl", "--format", "dot")).out, /^digraph collective \{/);
  const svg = await site.cui("graph", "office.cvl", "--format", "svg");
  t.match(svg.out, /<svg [^]*external segment[^]*<\/svg>$/);
  t.equal((await site.cui("graph", "office.cvl", "--format", "pdf")).status, 2);
  writeFiles(site.folder, { "office.cvl": site.office({ more: 'vanIF = "x";' }) });
  const wrong = await site.cui("graph", "office.cvl");
  t.match(wrong.err, /NETWORK_VANIF_NO_INTERFACE[^]*INVALID_INPUT: office\.cvl cannot be drawn/);
  t.equal(wrong.status, 1);
  t.match((await site.cui("graph", "--help")).out, "cui graph office.cvl --format svg");
  t.match((await site.cui("diff", "--help")).out, "cui diff HEAD~1");
});
