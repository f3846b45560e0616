import path from "node:path";
import { test } from "tap";
import type { Approval } from "../../../src/plan/approval.ts";
import type { Host } from "../../../src/host/host.ts";
import type { StateStore } from "../../../src/manager/records/state-store.ts";
import { previewSite } from "../../../src/preview/preview-site.ts";
import { readRolloutRecord } from "../../../src/manager/records/rollout-record.ts";
import { git, commitIdOf, gitAt } from "../../git/git-fixture.ts";
import { createMemoryHost } from "../memory-host.ts";
import { createMemoryStore } from "../memory-store.ts";
import { createDeath } from "../apply/mortal-manager.ts";
import {
  approvalOf,
  createSite,
  officeText,
  reportOf,
  shopText,
  UTILITY,
  type SiteFixture,
} from "./rollout-fixture.ts";

const two = {
  persons: [
    { name: "alice", how: "author" },
    { name: "bob", how: "approved" },
  ],
  notCounted: [],
};

/** What whoever accepts the preview of a commit approves. */
async function previewed(site: SiteFixture, commit: string, base: string): Promise<Approval> {
  return (await previewSite({ git: gitAt(site.work), base, head: commit, cache: site.cache })).approval;
}

test("a first commit starts, the next updates, the same again does nothing", async (t) => {
  const site = await createSite(t, { "office.cvl": officeText(), "shop.cvl": shopText() });
  const first = await site.apply();
  t.equal(first.report?.outcome, "done");
  t.same(site.host.running(), ["d@1", "d@1", "w@1"]);
  t.equal((await site.apply()).outcome, "known");
  site.calls();
  const base = git(site.work, "rev-parse", "HEAD");
  const commit = site.commit({ "office.cvl": officeText({ web: 2 }) });
  const result = await site.apply({ approval: await previewed(site, commit, base) });
  t.equal(reportOf(result, "office.cvl").outcome, "done", reportOf(result, "office.cvl").reasons.join());
  t.equal(reportOf(result, "shop.cvl").outcome, "unchanged");
  t.same(site.calls(), ["stop w", "start w@2"]);
  t.equal((await site.apply({ retry: true })).outcome, "known");
  t.same(site.calls(), []);
  t.same(readRolloutRecord(await site.store.read(), "")?.applied?.commit, commit);
});

test("what is not what was approved is refused before anything is changed, and the real plan is shown", async (t) => {
  const site = await createSite(t, { "office.cvl": officeText(), "shop.cvl": shopText() });
  await site.apply();
  const base = git(site.work, "rev-parse", "HEAD");
  const commit = site.commit({ "office.cvl": officeText({ web: 2, title: "bye" }), "shop.cvl": shopText(2) });
  const approval = await previewed(site, commit, base);
  site.calls();

  const milder = approval.networks.map((network) =>
    network.file === "office.cvl" ? { ...network, components: { w: "parameters" as const } } : network,
  );
  const worse = await site.apply({ approval: { ...approval, networks: milder } });
  const office = reportOf(worse, "office.cvl");
  t.equal(office.outcome, "refused", "ROLLOUT_REFUSED before anything began");
  t.match(office.reasons[0], /^w would be of class replace, approved was parameters$/);
  t.ok(office.plan?.actions.some(({ id }) => id === "replace w"));
  t.equal(reportOf(worse, "shop.cvl").outcome, "done", "the other network goes on");
  t.same(site.calls(), ["stop d", "start d@2"]);
  t.equal(worse.record?.evaluated.outcome, "refused");
  t.match(worse.record?.evaluated.reason, /^refused office\.cvl: w would be/);

  const moved = approval.networks.map((network) => ({ ...network, inputDigest: "0".repeat(64) }));
  const other = await site.apply({ approval: { ...approval, networks: moved } });
  t.match(reportOf(other, "office.cvl").reasons[0], /input digest .* approved 000000000000/);
  t.same(site.calls(), []);

  const without = await site.apply({ approval: { ...approval, networks: [] } });
  t.match(reportOf(without, "office.cvl").reasons[0], /does not mention it/);
  t.equal(reportOf(without, "shop.cvl").outcome, "unchanged", "to which nothing happens needs no approval");
  t.same(site.calls(), []);

  t.equal((await site.apply({ approval: { ...approval, networks: [] } })).outcome, "known");
  const right = await site.apply({ approval });
  t.equal(right.report?.outcome, "done", "other approvals are a reason to look again");
  t.same(site.calls().sort(), ["start w@2", "stop w"]);
});

test("after a refusal the next commit is judged by what runs", async (t) => {
  const site = await createSite(t);
  await site.apply();
  const base = git(site.work, "rev-parse", "HEAD");
  const refused = site.commit({ "office.cvl": officeText({ web: 2 }) });
  t.equal((await site.apply({ approval: approvalOf({ base, head: base }, []) })).report?.outcome, "refused");
  const commit = site.commit({ "office.cvl": officeText({ web: 2, dns: 2 }) });
  const partly = await previewed(site, commit, refused);
  t.same(partly.networks[0]?.components, { d: "replace" });
  const result = await site.apply({ approval: partly });
  t.match(reportOf(result, "office.cvl").reasons[0], /^w would be of class replace, approved was none/);
  const whole = await previewed(site, commit, base);
  t.equal((await site.apply({ approval: whole })).report?.outcome, "done");
  t.same(site.host.running(), ["d@2", "w@2"]);
});

test("policy comes from what the branch was before, not from the commit", async (t) => {
  const strict = `${UTILITY}approval: { persons: { replace: 2 } }\n`;
  const site = await createSite(t, { "office.cvl": officeText(), "utility.yaml": strict });
  t.equal((await site.apply()).report?.outcome, "refused", "a start counts as a replacement");
  t.equal((await site.apply({ approvals: two })).report?.outcome, "done");
  const base = git(site.work, "rev-parse", "HEAD");

  site.commit({ "office.cvl": officeText({ web: 2 }), "utility.yaml": UTILITY });
  const loosened = await site.apply();
  t.match(
    reportOf(loosened, "office.cvl").reasons[0],
    /^2 persons are needed for class replace, nobody approved it/,
  );
  t.equal((await site.apply({ retry: true })).report?.outcome, "refused", "nor when it is looked at again");
  const one = { persons: [two.persons[0]!], notCounted: ["carol (asks for changes)"] };
  t.match(
    reportOf(await site.apply({ approvals: one }), "office.cvl").reasons[0],
    /1 approved it: alice \(author\); not counted: carol/,
  );
  const before = await previewed(site, git(site.work, "rev-parse", "HEAD"), base);
  t.equal((await site.apply({ approvals: one, approval: before })).report?.outcome, "refused");
  t.equal((await site.apply({ approvals: two })).report?.outcome, "done");

  const forbidden = `${UTILITY}blacklist:\n  - { url: "${site.folder}/repos/Web", versions: 1 }\n`;
  site.commit({ "utility.yaml": forbidden });
  t.equal((await site.apply()).report?.outcome, "done");
  site.commit({ "utility.yaml": UTILITY, "office.cvl": officeText({ web: 1 }) });
  const blacklisted = reportOf(await site.apply(), "office.cvl");
  t.equal(blacklisted.outcome, "refused");
  t.match(blacklisted.reasons[0], /blacklist/);

  site.commit({ "utility.yaml": `${UTILITY}imports: { allow: ["https://example.org/"] }\n` });
  t.equal(
    reportOf(await site.apply(), "office.cvl").outcome,
    "done",
    "what was refused with it is in force now",
  );
  site.commit({ "utility.yaml": UTILITY });
  t.match(reportOf(await site.apply(), "office.cvl").reasons[0], /IMPORT_URL_REFUSED/);
});

test("an approval made under an older policy is good as long as the policy in force is met", async (t) => {
  const site = await createSite(t);
  await site.apply();
  const base = git(site.work, "rev-parse", "HEAD");
  git(site.work, "checkout", "--quiet", "-b", "topic");
  const head = site.commit({ "office.cvl": officeText({ web: 2 }) }, "Topic");
  const real = await previewed(site, head, base);
  // The policy is tightened on the branch before the merge.
  git(site.work, "checkout", "--quiet", "-B", "main", base);
  site.commit({ "utility.yaml": `${UTILITY}approval: { persons: { replace: 2 } }\n` });
  t.equal((await site.apply()).report?.outcome, "done");
  git(site.work, "merge", "--quiet", "--no-ff", "--message", "Merge", "topic");
  git(site.work, "push", "--quiet", "origin", "main");
  const refused = reportOf(await site.apply({ approval: real }), "office.cvl");
  t.match(refused.reasons[0], /^2 persons are needed/, "its digest is still right, its persons are too few");
  const done = await site.apply({ approval: real, approvals: two });
  t.equal(done.report?.outcome, "done", reportOf(done, "office.cvl").reasons.join());

  const forged = await site.apply({
    approval: { ...real, base: git(site.work, "rev-parse", "HEAD") },
    retry: true,
  });
  t.equal(forged.outcome, "known");
});

test("networks keep their ids: by hand or by rollout, and through a rename", async (t) => {
  const site = await createSite(t);
  await site.apply();
  const [id] = [...(await site.store.read()).files.keys()].flatMap(
    (file) => /^networks\/(.*)\/network\.json$/.exec(file)?.[1] ?? [],
  );
  t.match(id, /^office-[0-9a-f]{6}$/);
  site.calls();
  site.commit({
    "office.cvl": null,
    "company.cvl": officeText(),
    "utility.yaml": `${UTILITY}networks:\n  - { id: ${id}, file: company.cvl }\n`,
  });
  const renamed = await site.apply();
  t.same(
    renamed.report?.networks.map(({ file, outcome }) => [file, outcome]),
    [["company.cvl", "unchanged"]],
  );
  t.same(site.calls(), []);
  site.commit({ "utility.yaml": UTILITY });
  t.equal(reportOf(await site.apply(), "company.cvl").networkId, id, "the state knows it by its file");

  site.commit({ "company.cvl": null });
  const gone = await site.apply();
  t.equal(gone.report?.outcome, "done");
  const report = reportOf(gone, "company.cvl");
  t.equal(report.outcome, "gone");
  t.match(report.reasons[0], /cui stop company\.cvl/);
  t.same(site.host.running(), ["d@1", "w@1"], "it is left running");
});

test("what is not to be started is not, what was stopped stays so, libraries and symlinks are no roots", async (t) => {
  const quiet = `${UTILITY}rollout: { start: false }\n`;
  const library = `CVL = "0.8";\nA extends VMAppliance {\n}\nB extends VMAppliance {\n}\n`;
  const site = await createSite(t, {
    "office.cvl": officeText(),
    "utility.yaml": quiet,
    "base.cvl": library,
  });
  const left = await site.apply();
  t.same(left.report?.networks, []);
  site.commit({ "utility.yaml": UTILITY });
  const started = await site.apply();
  t.same(
    started.report?.networks.map(({ file, outcome }) => [file, outcome]),
    [["office.cvl", "done"]],
  );
  git(
    site.work,
    "update-index",
    "--add",
    "--cacheinfo",
    `120000,${git(site.work, "rev-parse", "HEAD:base.cvl")},link.cvl`,
  );
  git(site.work, "commit", "--quiet", "--message", "Link");
  git(site.work, "push", "--quiet", "origin", "main");
  const linked = await site.apply();
  t.equal(linked.report?.networks.length, 2);
  t.match(reportOf(linked, "link.cvl").reasons[0], /REPOSITORY_FILE_REFUSED/);
  git(site.work, "rm", "--quiet", "--cached", "utility.yaml");
  git(
    site.work,
    "update-index",
    "--add",
    "--cacheinfo",
    `120000,${git(site.work, "rev-parse", "HEAD:base.cvl")},utility.yaml`,
  );
  git(site.work, "commit", "--quiet", "--message", "Link");
  git(site.work, "push", "--quiet", "origin", "main");
  await t.rejects(site.apply(), { code: "REPOSITORY_FILE_REFUSED" });
});

test("nothing older than what was rolled out is applied, and no rewritten branch", async (t) => {
  const site = await createSite(t);
  const old = commitIdOf(site.work);
  await site.apply();
  const commit = site.commit({ "office.cvl": officeText({ title: "new" }) });
  t.equal((await site.apply()).report?.outcome, "done");
  site.calls();
  t.equal((await site.apply({ commit: old })).outcome, "superseded");
  git(site.work, "push", "--quiet", "--force", "origin", `${old}:main`);
  await t.rejects(site.apply(), { code: "ROLLOUT_REWIND" }, "back to an older commit");
  git(site.work, "reset", "--quiet", "--hard", old);
  const other = site.commit({ "office.cvl": officeText({ title: "other" }) });
  await t.rejects(site.apply(), { code: "ROLLOUT_REWIND", message: new RegExp(commit) });
  await t.rejects(site.apply({ acceptRewind: old }), { code: "ROLLOUT_REWIND" });
  t.same(site.calls(), []);
  t.equal((await site.apply({ acceptRewind: other })).report?.outcome, "done");
  t.same(site.calls(), ["send w"]);
});

test("a clone that was cut off is no ground to judge on", async (t) => {
  const site = await createSite(t);
  site.commit({ "office.cvl": officeText({ web: 2 }) });
  const shallow = path.join(site.folder, "shallow");
  git(site.folder, "clone", "--quiet", "--depth=1", `file://${site.bare}`, shallow);
  await t.rejects(site.apply({ git: gitAt(shallow) }), { code: "ROLLOUT_HISTORY_MISSING" });
});

test("two rollouts at the same time: each commit is carried out once, the newest last", async (t) => {
  const site = await createSite(t);
  await site.apply();
  const first = site.commit({ "office.cvl": officeText({ web: 2 }) });
  const second = site.commit({ "office.cvl": officeText({ web: 2, dns: 2 }) });
  site.calls();
  const results = await Promise.all([
    site.apply({ commit: first }),
    site.apply({ commit: second }),
    site.apply({ commit: second }),
  ]);
  t.same(site.calls().sort(), ["start d@2", "start w@2", "stop d", "stop w"]);
  t.ok(results.every(({ outcome }) => ["rolled-out", "known", "superseded"].includes(outcome)));
  t.ok(
    results.every(({ report }) => report === undefined || report.outcome === "done"),
    "one waits for the other, none is turned away",
  );
  t.equal((await site.store.read()).files.has("networks/@rollout/lease.json"), false);
  const record = readRolloutRecord(await site.store.read(), "");
  t.equal(record?.applied?.commit, second);
});

test("a host that does not answer is tried again", async (t) => {
  const site = await createSite(t);
  await site.apply();
  const commit = site.commit({ "office.cvl": officeText({ web: 2 }) });
  const away = await site.apply({ connect: () => Promise.reject(new Error("no answer")) });
  t.equal(away.report?.outcome, "failed");
  t.ok(away.report?.isWorthRetrying);
  t.not(readRolloutRecord(await site.store.read(), "")?.evaluated.commit, commit, "it is not remembered");
  t.equal((await site.apply()).report?.outcome, "done");
});

test("a rollout killed at any moment goes on, between networks too", async (t) => {
  const site = await createSite(t, { "office.cvl": officeText(), "shop.cvl": shopText() });
  const old = commitIdOf(site.work);
  const commit = site.commit({ "office.cvl": officeText({ web: 2 }), "shop.cvl": shopText(2) });
  let deaths = 0;
  for (let at = 0; ; at += 8) {
    const store = createMemoryStore();
    const host = createMemoryHost({ name: "h1" });
    const connect = (): Promise<Host> => Promise.resolve(host);
    await site.apply({ store, connect, commit: old });
    const death = createDeath(at);
    const doomed = {
      store: death.store(store),
      connect: () => Promise.resolve(death.host(host)),
      parallel: 1,
    };
    await site.apply(doomed).catch(() => undefined);
    if (at >= death.passed()) break;
    deaths += 1;
    await forgetHolders(store);
    await site.apply({ store, connect });
    const record = readRolloutRecord(await store.read(), "");
    t.equal(record?.applied?.commit, commit, `killed at moment ${at}: ${record?.evaluated.reason ?? ""}`);
    t.same(host.running(), ["d@1", "d@2", "w@2"]);
    const starts = host.calls.filter((call) => /^start .@2$/.test(call)).sort();
    t.same(starts, ["start d@2", "start w@2"], "each exactly once");
    if (at > 300) throw new Error("it never ends");
  }
  t.ok(deaths > 3, `${deaths} deaths`);
});

/** A process that died is known by its id; here it lives on, so its leases are made those of another. */
async function forgetHolders(store: StateStore): Promise<void> {
  await store.update(({ files }) => ({
    message: "the process is gone",
    files: new Map(
      [...files].flatMap(([file, text]) =>
        file.endsWith("/lease.json") ? [[file, text.replace(/"pid": \d+/, '"pid": 999999999')] as const] : [],
      ),
    ),
  }));
}
