/** How far a long transfer is, in one line of a terminal. */
import t from "tap";
import { showTransfers } from "../../src/cli/git-of.ts";

t.test("one line for all transfers, when they last; it is gone at their end", (t) => {
  let now = 0;
  const shown: string[] = [];
  const onProgress = showTransfers(
    (text) => shown.push(text),
    () => now,
  );
  onProgress("https://h/A", { stage: "remote", percent: 100 });
  now = 499;
  onProgress("https://h/A", { stage: "receiving", percent: 10 });
  t.same(shown, [], "what takes less is over before it is read");
  now = 500;
  onProgress("https://h/A", { stage: "receiving", percent: 40 });
  onProgress("https://h/B", { stage: "remote", percent: 5 });
  t.same(shown.splice(0), ["https://h/A: receiving, 40 %"]);
  onProgress("https://h/A", undefined);
  t.same(shown.splice(0), [""]);
  now = 600;
  onProgress("https://h/A", { stage: "receiving", percent: 1 });
  t.same(shown.splice(0), [], "another transfer begins anew");
  now = 1100;
  onProgress("https://h/B", { stage: "resolving", percent: 99 });
  t.same(shown.splice(0), ["https://h/B: unpacking, 99 %"]);
  t.end();
});
