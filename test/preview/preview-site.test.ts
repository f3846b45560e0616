/** previewSite between real commits: roots, policy, mistakes, limits, and the digest the manager computes at apply time. */
import { rmSync, symlinkSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { test, type Test } from "tap";
import { CollectiveError } from "../../src/errors.ts";
import { objections } from "../../src/plan/approval.ts";
import { renderPlanMarkdown } from "../../src/plan/render-markdown.ts";
import { loadSiteAppliance } from "../../src/manager/change/load-site-appliance.ts";
import { previewNetwork } from "../../src/manager/change/preview-network.ts";
import { previewSite, type PreviewOptions, type SitePreview } from "../../src/preview/preview-site.ts";
import { loadMacKey } from "../../src/manager/change/sensitive.ts";
import { checkedInventory } from "../../src/site/site.ts";
import { git, scratch, writeFiles, gitAt } from "../git/git-fixture.ts";
import { createManager, sampleInventory } from "../manager/manager-fixture.ts";
import { renderPreviewComment } from "../../src/forge/preview-comment.ts";
import { makeLargeSite } from "../manager/large-site.ts";
import { DISKLESS, makeSite, utilityYaml, WEB, type SiteFixture } from "../manager/site-fixture.ts";

function preview(site: SiteFixture, options: Omit<PreviewOptions, "git">): Promise<SitePreview> {
  return previewSite({ git: gitAt(site.folder), cache: site.cache, ...options });
}

function start(t: Test): SiteFixture {
  return makeSite(scratch(t).folder);
}

test("what a manager with a checkout of the same commit computes", async (t) => {
  const site = start(t);
  const policy = utilityYaml({ office: "office.cvl" }, "blacklist:\n  - { url: https://h/Bad }\n");
  const base = site.commit({ "utility.yaml": policy, "office.cvl": site.office() });
  const head = site.commit({ "office.cvl": site.office({ dns: 2, title: "Acme Ltd" }) });
  const result = await preview(site, { base, head });
  const [network] = result.networks;
  t.same(
    network?.plan?.actions.map(({ id, class: name }) => `${id} ${name}`),
    ["replace d replace", "send-parameters w parameters"],
  );
  t.match(network?.diagram, "flowchart TB");
  t.match(result, { base, head, isApplicable: true, diagnostics: [], policyChanges: [] });
  t.match(result.approval, {
    base,
    head,
    networks: [{ file: "office.cvl", components: { d: "replace", w: "parameters" } }],
  });

  const manager = await createManager(path.join(path.dirname(site.folder), "manager"));
  const inventory = {
    ...sampleInventory(["h1"]),
    ...checkedInventory(policy),
    hosts: manager.inventory.hosts,
  };
  const managed = await previewNetwork({
    networkId: "office",
    inventory,
    loadAppliance: () =>
      loadSiteAppliance({
        git: gitAt(),
        cwd: site.folder,
        file: "office.cvl",
        inventory,
        versions: "locked",
        writeLock: false,
      }),
    store: manager.store,
    loadMacKey: () => loadMacKey(manager.directory),
    connect: manager.connect,
    env: {},
  });
  t.equal(managed.inputDigest, network?.plan?.inputDigest, "approval binds to what apply will compute");
  t.match(
    objections(managed, result.approval.networks[0]!),
    [/^w would be of class replace/],
    "nothing runs there",
  );

  await t.test("it changes with the policy, the text, the version", async (t) => {
    const digests = new Set([network?.plan?.inputDigest]);
    const stricter = site.commit({ "utility.yaml": utilityYaml({ office: "office.cvl" }) });
    const other = await preview(site, { base, head, policyCommit: stricter });
    digests.add(other.plans[0]?.inputDigest);
    digests.add((await preview(site, { base, head: base })).plans[0]?.inputDigest);
    const third = site.commit({ "office.cvl": site.office({ dns: 3, title: "Acme Ltd" }) });
    const step = await preview(site, { base, head: third, policyCommit: base });
    digests.add(step.plans[0]?.inputDigest);
    t.equal(digests.size, 4);
    t.equal(step.plans[0]?.actions[0]?.id, "replace d", "v1 → v3 is another image");
    t.match((await preview(site, { base: head, head: third })).plans[0], { class: "none" }, "v2 → v3 is not");
  });
});

test("which files are networks", async (t) => {
  const site = start(t);
  const first = site.commit({
    "acme.cvl": site.office(),
    "parts.cvl": "A extends VMAppliance { }\nB extends VMAppliance { }\n",
  });
  const files = (result: SitePreview): unknown =>
    result.networks.map(({ file, isBefore, isAfter, plan }) => [
      file,
      isBefore,
      isAfter,
      plan?.actions.length,
    ]);

  await t.test("without an inventory every CVL file but those of definitions alone", async (t) => {
    t.same(files(await preview(site, { base: null, head: first })), [["acme.cvl", false, true, 3]]);
    const { approval } = await preview(site, { base: null, head: first });
    t.equal(approval.base, "0".repeat(40));
  });

  await t.test("a network does not vanish from the preview by becoming definitions", async (t) => {
    const hidden = site.commit({ "acme.cvl": site.office() + "\nOther extends VANAppliance { }\n" });
    const result = await preview(site, { base: first, head: hidden });
    t.match(result.networks, [{ file: "acme.cvl", plan: null, problems: [/^acme\.cvl:1: CVL_ROOT_OBJECT/] }]);
    t.equal(result.isApplicable, false);
    t.same(result.approval.networks, []);
  });

  await t.test("an inventory names them, and a renamed file stays the same network", async (t) => {
    const base = site.commit({
      "utility.yaml": utilityYaml({ office: "acme.cvl" }),
      "acme.cvl": site.office(),
      "lab.cvl": site.office({ object: "Lab" }),
    });
    const renamed = site.commit({
      "utility.yaml": utilityYaml({ office: "sites/acme2.cvl", lab: "lab.cvl", gone: "gone.cvl" }),
      "acme.cvl": null,
      "sites/acme2.cvl": site.office({ title: "New" }),
    });
    const { networks, isApplicable } = await preview(site, { base, head: renamed });
    t.same(files({ networks } as SitePreview), [
      ["sites/acme2.cvl", true, true, 1],
      ["lab.cvl", true, true, 0],
      ["gone.cvl", false, false, undefined],
    ]);
    t.match(networks[2]?.problems, [/lists this file, and it is not there/]);
    t.equal(isApplicable, false);
    const removed = site.commit({ "utility.yaml": utilityYaml({}), "sites/acme2.cvl": null });
    const after = await preview(site, { base: renamed, head: removed });
    t.match(after.networks[0], { file: "sites/acme2.cvl", isAfter: false });
    t.same(after.approval.networks[0]?.components, { d: "replace", w: "replace" });
  });

  await t.test("nothing is read from the working tree; a bare repository is as good", async (t) => {
    const head = site.commit({ "acme.cvl": site.office({ title: "Second" }) });
    const before = await preview(site, { base: first, head });
    const bare = `${site.folder}.git`;
    git(site.folder, "clone", "--quiet", "--bare", site.folder, bare);
    for (const name of ["acme.cvl", "utility.yaml", ".gitignore"])
      rmSync(path.join(site.folder, name), { force: true });
    symlinkSync("/etc/passwd", path.join(site.folder, "acme.cvl"));
    t.same((await preview(site, { base: first, head })).approval, before.approval);
    t.same(
      (await previewSite({ git: gitAt(bare), cache: site.cache, base: first, head })).approval,
      before.approval,
    );
    git(site.folder, "checkout", "--quiet", "--force", "main");
  });
});

test("policy is the base commit's, whatever the head makes of it", async (t) => {
  const site = start(t);
  const networks = { office: "office.cvl" };
  const blacklist = `blacklist:\n  - { url: ${site.repositories}/DNS, versions: 2, reason: leaks }\n`;
  const allow = `imports: { allow: [ "${site.repositories}/DNS" ] }\n`;
  const office = site.office();
  const base = site.commit({ "utility.yaml": utilityYaml(networks, blacklist), "office.cvl": office });
  const lifted = site.commit({
    "utility.yaml": utilityYaml(networks),
    "office.cvl": site.office({ dns: 2 }),
  });
  const refused = await preview(site, { base, head: lifted });
  t.match(refused.plans[0]?.refusals, [{ code: "PLAN_BLACKLISTED", message: /leaks/ }]);
  t.match(refused, { isApplicable: false, policyChanges: ["blacklist"] });
  const strict = site.commit({ "utility.yaml": utilityYaml(networks, allow), "office.cvl": office });
  const widened = site.commit({ "utility.yaml": utilityYaml(networks) });
  const narrow = await preview(site, { base: strict, head: widened });
  t.match(narrow.networks[0]?.problems, [/IMPORT_URL_REFUSED: .*imports\.allow/]);
  t.same(narrow.policyChanges, ["imports.allow"]);
  const broken = site.commit({ "utility.yaml": "format: 2\n" });
  t.match((await preview(site, { base: widened, head: broken })).networks[0], {
    file: "utility.yaml",
    plan: null,
    problems: [/INVENTORY_INVALID: .*format 1/],
  });
  await t.rejects(preview(site, { base: broken, head: widened }), { code: "UTILITY_INVENTORY_INVALID" });
});

test("withdrawn versions, and what is wrong", async (t) => {
  const site = start(t);
  const base = site.commit({
    "utility.yaml": utilityYaml({ office: "office.cvl" }),
    "office.cvl": site.office(),
  });
  const dns = path.join(site.repositories, "DNS");
  const withdrawn = "format: 1\nwithdrawn:\n  - { version: 2, why: it forgets names }\n";
  const head = site.commit({ "office.cvl": site.office({ dns: 2 }) });
  writeFiles(dns, { "withdrawn.yaml": withdrawn });
  git(dns, "add", "--all");
  git(dns, "commit", "--quiet", "--message", "withdraw");
  const warned = await preview(site, { base, head });
  t.match(warned.plans[0]?.warnings, [{ message: /IMPORT_WITHDRAWN.*it forgets names/ }]);
  t.equal(warned.isApplicable, true);

  await t.test("a mistake is a problem of its network, with its line", async (t) => {
    const wrong = site.commit({ "office.cvl": site.office({ more: 'w.titel = "x";' }) });
    const result = await preview(site, { base, head: wrong });
    t.match(result.networks[0]?.problems, [/^office\.cvl:9: CVL_UNKNOWN_PARAMETER/]);
    t.match(result.diagnostics[0]?.span, { file: "office.cvl" });
    t.match(result.textOf("office.cvl"), "titel");
    t.match(renderPlanMarkdown(result.networks), "it cannot be planned");
    const repaired = await preview(site, { base: wrong, head });
    t.match(repaired.plans[0]?.warnings[0]?.message, /the base cannot be evaluated.*CVL_UNKNOWN_PARAMETER/);
    t.same(repaired.approval.networks[0]?.components, { d: "replace", w: "replace" }, "as if nothing ran");
  });

  await t.test("a symlink and a folder are no root files", async (t) => {
    rmSync(path.join(site.folder, "office.cvl"));
    symlinkSync("/etc/passwd", path.join(site.folder, "office.cvl"));
    const linked = site.commit({});
    const result = await preview(site, { base, head: linked });
    t.match(result.networks, [{ plan: null, problems: [/REPOSITORY_FILE_REFUSED.*is a symlink/] }]);
    rmSync(path.join(site.folder, "office.cvl"));
  });

  await t.test("nested networks are refused as the manager refuses them", async (t) => {
    const inner = `Inner extends VANAppliance { DNS d2; }\n${site.office({ more: "Inner i;", object: "office" })}`;
    const nested = site.commit({ "office.cvl": inner });
    t.match((await preview(site, { base, head: nested })).plans[0]?.refusals, [
      { code: "NETWORK_NESTED_UNSUPPORTED" },
    ]);
  });

  await t.test("a revision that is not there", async (t) => {
    await t.rejects(preview(site, { base, head: "f".repeat(40) }), { code: "REPOSITORY_REVISION_MISSING" });
  });
});

test("an appliance's own repository: parameters may be unset, services may be missing", async (t) => {
  const site = start(t);
  const web = WEB.replace("var title", 'var "required" title');
  const base = site.commit({ "Web.cvl": web, "web.vm.yaml": DISKLESS });
  const head = site.commit({ "web.vm.yaml": DISKLESS.replace("64", "96") });
  const result = await preview(site, { base, head });
  t.match(result.networks, [{ file: "Web.cvl", plan: { class: "replace" } }]);
  t.equal(result.isApplicable, true);
  t.match((await preview(site, { base, head, isSite: true })).networks, [{ plan: null }]);
});

test("a preview is bounded", async (t) => {
  const site = start(t);
  const files = Object.fromEntries(["a", "b", "c"].map((name) => [`${name}.cvl`, site.office()]));
  const head = site.commit(files);
  await t.rejects(preview(site, { base: null, head, limits: { rootFiles: 2 } }), {
    code: "PREVIEW_TOO_LARGE",
    message: /3 root files/,
  });
  await t.rejects(preview(site, { base: null, head, limits: { totalBytes: 700 } }), {
    code: "PREVIEW_TOO_LARGE",
  });
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    silent.closeAllConnections();
    silent.close();
  });
  const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/DNS`;
  const slow = site.commit({
    "a.cvl": `import { url => "${url}", cvl => "DNS.cvl" } DNS;\nA extends VANAppliance { DNS d; }\n`,
  });
  const startedAt = Date.now();
  await t.rejects(preview(site, { base: null, head: slow, limits: { timeMs: 700 } }), {
    code: "PREVIEW_TIMED_OUT",
    message: "the preview took longer than 0.7 s",
  });
  t.ok(Date.now() - startedAt < 30_000);
  const stopped = AbortSignal.abort(new CollectiveError("PREVIEW_TIMED_OUT", "cancelled"));
  await t.rejects(preview(site, { base: null, head, signal: stopped }), { message: "cancelled" });
});

test("a large site: one look at every repository, little work, a short comment", async (t) => {
  const { folder: top } = scratch(t);
  const site = await makeLargeSite(top, { machines: 100, repositories: 10, networks: "many" });
  const before = process.cpuUsage();
  const { networks, policyChanges, isApplicable } = await previewSite({ ...site, git: gitAt(site.folder) });
  const { user, system } = process.cpuUsage(before);
  t.ok((user + system) / 1e6 < 5, `${(user + system) / 1e6} s of this process`);
  t.equal(isApplicable, true);
  t.same(networks.map(({ plan }) => plan?.class).slice(0, 2), ["replace", "parameters"]);
  t.ok(networks[0]!.plan!.forecast.fetchBytesTotal > 0, "bytes are counted from the indexes");
  const { base, head } = site;
  const comment = renderPreviewComment({ networks, policyChanges, base, head, wholePlan: "the artifact" });
  t.ok(comment.length <= 60_000, `${comment.length} characters`);
  const [headline = ""] = comment.split("\n\n");
  t.ok(headline.split("\n").length <= 8);
});
