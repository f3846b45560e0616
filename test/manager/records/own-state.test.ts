import { test } from "tap";
import { ownState } from "../../../src/manager/records/own-state.ts";
import { createMemoryStore } from "../memory-store.ts";

const change = (): { message: string; files: Map<string, string> } => ({
  message: "one",
  files: new Map([["networks/a/network.json", "{}"]]),
});

test("the first change says whose the state is, and another site is refused from then on", async (t) => {
  const store = createMemoryStore();
  const ours = ownState(store, "0123456789ab");
  const theirs = ownState(store, "ba9876543210");
  await theirs.read();
  await theirs.update(() => undefined);
  await theirs.update(() => ({ message: "lease", files: new Map([["networks/b/lease.json", "{}"]]) }));
  await theirs.update(() => ({ message: "ended", files: new Map([["networks/b/lease.json", null]]) }));
  await ours.update(change);
  t.same(
    [...(await ours.read()).files],
    [
      ["site.json", '{\n "format": 1,\n "site": "0123456789ab"\n}\n'],
      ["networks/a/network.json", "{}"],
    ],
  );
  const refusal = {
    code: "STATE_OTHER_SITE",
    message: /in memory belongs to the site 0123456789ab, .*ba9876543210/,
  };
  await t.rejects(theirs.read(), refusal);
  const before = await store.read();
  await t.rejects(theirs.update(change), refusal);
  t.equal(await store.read(), before);
});

test("a state that belongs to a site is not that of one without an id", async (t) => {
  const store = createMemoryStore();
  const none = ownState(store, null);
  await none.update(change);
  t.notOk((await store.read()).files.has("site.json"), "nobody's stays nobody's");
  await ownState(store, "0123456789ab").update(change);
  const refusal = { code: "STATE_OTHER_SITE", hint: /site: "0123456789ab"/ };
  await t.rejects(none.read(), refusal);
  await t.rejects(none.update(change), refusal);
});

test("a site without an id is not told apart", async (t) => {
  const store = createMemoryStore();
  const old = ownState(store, undefined);
  await old.update(change);
  t.notOk((await store.read()).files.has("site.json"));
  await ownState(store, "0123456789ab").update(change);
  t.equal((await old.read()).files.size, 2);
});
