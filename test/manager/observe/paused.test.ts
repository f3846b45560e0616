/** Machines that stand still are named, and resumed where the manager can. */
import { test, type Test } from "tap";
import { CollectiveError } from "../../../src/errors.ts";
import { renderPlanMarkdown } from "../../../src/plan/render-markdown.ts";
import { renderPlan } from "../../../src/plan/render-terminal.ts";
import { MIB } from "../describe-fixtures.ts";
import { createManager, type Manager } from "../manager-fixture.ts";
import type { MemoryHostOptions } from "../memory-host.ts";
import { createMemoryStore } from "../memory-store.ts";

async function running(t: Test, disk?: { totalBytes: number; freeBytes: number }): Promise<Manager> {
  const hosts: MemoryHostOptions[] = [disk === undefined ? { name: "h1" } : { name: "h1", disk }];
  const manager = await createManager(t.testdirName, hosts, { store: createMemoryStore() });
  await manager.start();
  manager.calls();
  return manager;
}

test("one that waits for room is resumed by update and by start", async (t) => {
  for (const kind of ["update", "start"] as const) {
    const manager = await running(t, { totalBytes: 1000 * MIB, freeBytes: 500 * MIB });
    manager.hosts["h1"]!.pause("w", "disk-full");
    t.match((await manager.status())["w"], {
      state: "paused",
      pause: {
        why: "the disk of host h1 was full (500 MiB free)",
        mend: "`cui update office.cvl` resumes it",
      },
    });
    const plan = await manager.plan();
    t.match(plan.actions, [
      {
        id: "resume w",
        class: "none",
        reasons: [{ text: "it is paused: the disk of host h1 was full (500 MiB free)" }],
      },
    ]);
    t.match(renderPlan(plan), /1 machine to resume \(class none\)\n\n {2}> resume {2}w\n/);
    t.match(renderPlanMarkdown([{ file: "office.cvl", plan }]), /- \*\*Resumed\*\*: 1 machine resumed: `w`/);
    const { plan: done } = await manager[kind]();
    t.same(manager.calls(), ["resume w"]);
    t.match(done.actions, [{ id: "resume w" }]);
    t.equal((await manager.status())["w"]?.state, "ready");
    t.equal((await manager.status())["w"]?.pause, null);
    t.same((await manager.plan()).actions, []);
  }
});

test("while there is no room, plan and status say so, and update says what is in the way", async (t) => {
  const disk = { totalBytes: 1000 * MIB, freeBytes: 500 * MIB };
  const manager = await running(t, disk);
  disk.freeBytes = 10 * MIB;
  const host = manager.hosts["h1"]!;
  host.pause("w", "disk-full");
  host.failures.set(
    "resume",
    new CollectiveError("HOST_DISK_FULL", "the host's disk is full: 10 MiB are free"),
  );
  const plan = await manager.plan();
  t.match(plan.warnings, [
    {
      about: "paused",
      message:
        "w: it is paused: the disk of host h1 is full (10 MiB free); make room on host h1, then `cui update office.cvl` resumes it",
    },
  ]);
  await t.rejects(manager.update(), {
    code: "UTILITY_INCOMPLETE",
    message: /resume w: HOST_DISK_FULL: the host's disk is full: 10 MiB are free/,
  });
});

test("new parameters wait until it goes on; what is replaced is stopped", async (t) => {
  const manager = await running(t);
  manager.hosts["h1"]!.pause("w", "disk-full");
  const root = {
    web: "16MiB",
    root: (await import("../cvl-fixtures.ts")).OFFICE.replace("hello", "good day"),
  };
  const plan = await manager.plan(root);
  t.match(plan.actions, [
    { id: "send-parameters w", reasons: [{ text: /^it is paused/ }, { text: /title/ }] },
  ]);
  await manager.update(root);
  t.same(manager.calls(), ["resume w", "send w"]);
  manager.hosts["h1"]!.pause("w", "disk-full");
  await manager.update({ ...root, versions: { Web: 2 } });
  t.same(manager.calls(), ["stop w", "start w@2"]);
});

test("what somebody paused on purpose is named and left alone", async (t) => {
  const cases = [
    ["by-hand", /somebody paused it by hand; `virsh resume cui\.office\.w` on host h1 lets it go on/],
    ["asleep", /its guest went to sleep; `virsh dompmwakeup cui\.office\.w` on host h1/],
    ["other", /libvirt paused it; `virsh resume/],
  ] as const;
  for (const [reason, message] of cases) {
    const manager = await running(t);
    manager.hosts["h1"]!.pause("w", reason);
    const plan = await manager.plan();
    t.match(plan.warnings, [{ component: "w", about: "paused", message }]);
    t.notMatch(renderPlan(plan), /nothing to do$/m);
    t.match(renderPlan(plan), /^Office: nothing to do by itself: see the warnings$/m);
    t.match(
      renderPlanMarkdown([{ file: "office.cvl", plan }]),
      /- \*\*Nothing to do\*\* by itself: see the warnings/,
    );
    t.match((await manager.status())["w"]?.pause?.mend, /on host h1 lets it go on/);
    const { plan: done } = await manager.update();
    t.same(done.actions, []);
    t.same(manager.calls(), []);
  }
});
