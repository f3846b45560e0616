import t from "tap";
import { createInputReader } from "../../actions/inputs.ts";
import { readSiteFolder } from "../../actions/site-folder.ts";

t.test("inputs come as the runner sets them", (t) => {
  const inputs = createInputReader({
    INPUT_TOKEN: " abc ",
    INPUT_EMPTY: "  ",
    "INPUT_DRY-RUN": "true",
    INPUT_FILES: "acme.cvl, other.cvl\nthird.cvl\n",
  });
  t.equal(inputs.text("token"), "abc");
  t.equal(inputs.text("empty"), undefined);
  t.equal(inputs.flag("dry-run", false), true);
  t.equal(inputs.flag("other", true), true);
  t.same(inputs.list("files"), ["acme.cvl", "other.cvl", "third.cvl"]);
  t.end();
});

t.test("a wrong input is named with what was expected", (t) => {
  const inputs = createInputReader({ INPUT_MODE: "fast\u001b[31m", INPUT_FLAG: "yes" });
  t.throws(() => inputs.required("token"), { code: "USAGE", message: /input token expects a value/ });
  t.throws(() => inputs.flag("flag", false), { code: "USAGE", message: /true, false, got "yes"/ });
  const error = t.throws(() => inputs.choice("mode", ["slow"], "slow"), { code: "USAGE" }) as Error;
  t.notMatch(error.message, "\u001b");
  t.end();
});

t.test("a folder lies in the checkout", (t) => {
  const inputs = (site: string) =>
    createInputReader({ GITHUB_WORKSPACE: "/checkout/site/", INPUT_SITE: site });
  for (const inside of [
    ".",
    "sites/acme",
    "./sites/../acme",
    "..acme",
    "/checkout/site",
    "/checkout/site/acme",
  ])
    t.equal(inputs(inside).folder("site"), inside);
  t.equal(inputs("").folder("site"), ".");
  const message = /input site expects a folder of the checkout, got "/;
  for (const outside of ["..", "../..", "sites/../../x", "/checkout/site-b", "/"])
    t.throws(() => inputs(outside).folder("site"), { code: "USAGE", message }, outside);
  t.equal(readSiteFolder(inputs("sites//acme/")), "sites/acme");
  t.equal(readSiteFolder(inputs(".")), "");
  for (const outside of ["../x", "/checkout/site", "-x"])
    t.throws(() => readSiteFolder(inputs(outside)), { code: "USAGE", hint: /sites\/acme/ }, outside);
  t.end();
});
