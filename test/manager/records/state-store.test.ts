import { execFileSync } from "node:child_process";
import { test } from "tap";
import type { StateSnapshot } from "../../../src/manager/records/state-snapshot.ts";
import { openStateStore, tidyStateStore, type StateStore } from "../../../src/manager/records/state-store.ts";

const set = (file: string, content: string | null, message = `set ${file}`) => ({
  message,
  files: new Map([[file, content]]),
});

test("what is committed is read back, by another store too", async (t) => {
  const directory = `${t.testdir()}/state.git`;
  const store = await openStateStore(directory);
  t.same(await store.read(), { revision: null, files: new Map() });
  await store.update(() => set("networks/a/network.json", "{}\n"));
  const written = await store.update(() => set("networks/ü".replace("ü", "b") + "/x.json", "grün\n\n"));
  const read = await (await openStateStore(directory)).read();
  t.equal(read.revision, written.revision);
  t.same([...read.files].sort(), [
    ["networks/a/network.json", "{}\n"],
    ["networks/b/x.json", "grün\n\n"],
  ]);
  await store.update(() => set("networks/a/network.json", null));
  t.same([...(await (await openStateStore(directory)).read()).files.keys()], ["networks/b/x.json"]);
});

test("the state is an ordinary git repository with one commit a change", async (t) => {
  const directory = `${t.testdir()}/state.git`;
  const store = await openStateStore(directory);
  await store.update(() => set("a", "1", "the first"));
  await store.update(() => set("a", "2", "the second"));
  const git = (...args: string[]) =>
    execFileSync("git", ["-C", directory, ...args], { encoding: "utf8" }).trim();
  t.equal(git("log", "--format=%s", "main"), "the second\nthe first");
  t.equal(git("show", "main:a"), "2");
  t.equal(git("fsck", "--strict"), "");
});

test("independent changes of two managers both arrive, and each sees the other's", async (t) => {
  const directory = `${t.testdir()}/state.git`;
  const stores = [await openStateStore(directory), await openStateStore(directory)] as const;
  const count = async (store: StateStore, file: string): Promise<void> => {
    for (let index = 0; index < 8; index++) {
      await store.update(({ files }) => ({
        message: `${file} ${index}`,
        files: new Map([
          [file, String(Number(files.get(file) ?? 0) + 1)],
          ["both", String(Number(files.get("both") ?? 0) + 1)],
        ]),
      }));
    }
  };
  await Promise.all([count(stores[0], "a"), count(stores[1], "b")]);
  const { files } = await stores[0].read();
  t.same(Object.fromEntries(files), { a: "8", b: "8", both: "16" });
});

test("changes that wait for each other share a commit; one that throws is refused alone", async (t) => {
  const directory = `${t.testdir()}/state.git`;
  const store = await openStateStore(directory);
  await store.update(() => set("a", "0"));
  const results = await Promise.allSettled([
    store.update(() => set("b", "1", "b")),
    store.update(() => set("c", "1", "c")),
    store.update(() => {
      throw new Error("no");
    }),
    store.update((snapshot: StateSnapshot) => set("d", String(snapshot.files.get("c")), "d")),
  ]);
  t.same(
    results.map((result) => result.status),
    ["fulfilled", "fulfilled", "rejected", "fulfilled"],
  );
  t.equal((await store.read()).files.get("d"), "1");
  const commits = execFileSync("git", ["-C", directory, "rev-list", "--count", "main"], { encoding: "utf8" });
  t.ok(Number(commits) <= 4, `${commits.trim()} commits`);
});

test("a change judged by an outdated snapshot is judged again before it is refused", async (t) => {
  const directory = `${t.testdir()}/state.git`;
  const [mine, other] = [await openStateStore(directory), await openStateStore(directory)];
  await mine.update(() => set("lease", "held"));
  await other.update(() => set("lease", "free"));
  await mine.update(({ files }) => {
    if (files.get("lease") !== "free") throw new Error("held");
    return set("lease", "mine");
  });
  t.equal((await other.read()).files.get("lease"), "mine");
});

test("a commit is cheap", async (t) => {
  const store = await openStateStore(`${t.testdir()}/state.git`);
  await store.update(() => set("a", "x"));
  const startedAt = performance.now();
  for (let index = 0; index < 20; index++) await store.update(() => set("a", `${index}`));
  const each = (performance.now() - startedAt) / 20;
  t.comment(`${each.toFixed(1)} ms a commit`);
  t.ok(each < 1000, `${each.toFixed(1)} ms a commit`);
});

test("who is overtaken again and again gives up in the end", async (t) => {
  const directory = `${t.testdir()}/state.git`;
  const store = await openStateStore(directory);
  await store.update(() => set("a", "0"));
  let overtaken = 0;
  const overtake = (): void => {
    overtaken += 1;
    const input = `commit refs/heads/main\ncommitter x <x@localhost> 1 +0000\ndata 1\nx\nfrom refs/heads/main^0\n`;
    execFileSync("git", ["-C", directory, "fast-import", "--quiet"], { input });
  };
  const attempt = store.update(() => {
    overtake();
    return set("a", "mine");
  });
  await t.rejects(attempt, { code: "STATE_CONFLICT" });
  t.ok(overtaken > 10);
  t.equal((await store.read()).files.get("a"), "0");
});

test("packing the repository changes nothing", async (t) => {
  const directory = `${t.testdir()}/state.git`;
  const store = await openStateStore(directory);
  for (let index = 0; index < 5; index++) await store.update(() => set("a", `${index}`));
  execFileSync("git", ["-C", directory, "config", "gc.auto", "1"]);
  await tidyStateStore(directory);
  await tidyStateStore(directory);
  await store.update(() => set("b", "after"));
  t.same(Object.fromEntries((await (await openStateStore(directory)).read()).files), { a: "4", b: "after" });
});

test("no path leaves the state", async (t) => {
  const store = await openStateStore(`${t.testdir()}/state.git`);
  for (const file of ["../a", "/a", "a/../b", "a//b", "a\nb", "", "a/.git", '"a"']) {
    await t.rejects(
      store.update(() => set(file, "x")),
      /unsafe path/,
      JSON.stringify(file),
    );
  }
});
