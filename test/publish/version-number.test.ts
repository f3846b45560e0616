import t from "tap";
import { findGap } from "../../src/publish/version-number.ts";

t.test("a version follows the newest below it; an older gap keeps nobody from going on", (t) => {
  t.equal(findGap(1, new Set()), undefined);
  t.equal(findGap(2, new Set([1])), undefined);
  t.equal(findGap(4, new Set([1, 3])), undefined, "v2 was deleted long ago");
  t.equal(findGap(3, new Set([1, 2, 3, 4])), undefined, "one that is there");
  t.match(findGap(4, new Set([1])), {
    code: "VERSION_GAP",
    message: /there is no v2, v3$/,
    hint: /the next is v2/,
  });
  t.match(findGap(3, new Set()), { message: /there is no v1, v2$/, hint: /the next is v1/ });
  t.match(findGap(999_999_999, new Set([1])), { message: /v11$/ }, "ten are named");
  t.end();
});
