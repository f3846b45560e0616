import t from "tap";
import { approvedNetwork, componentClasses, objections, readApproval } from "../../src/plan/approval.ts";
import type { Action, Plan } from "../../src/plan/plan.ts";

const digest = (digit: string): string => digit.repeat(64);

function planOf(classes: readonly (readonly [string, Action["class"]])[], inputDigest = digest("a")): Plan {
  return {
    format: 1,
    appliance: "Office",
    class: "none",
    actions: classes.map(([component, name], index) => ({
      id: `${index}`,
      kind: "replace",
      class: name,
      component,
      reasons: [],
      after: [],
    })),
    forecast: {
      fetchBytes: {},
      fetchBytesTotal: 0,
      fetchUnknown: [],
      memoryBytesChange: 0,
      addressesChange: 0,
      outage: [],
    },
    warnings: [],
    refusals: [],
    inputDigest,
  };
}

t.test("a component's class is the most severe of its actions", (t) => {
  const plan = planOf([
    ["w", "restart"],
    ["w", "data"],
    ["d", "none"],
    ["f", "parameters"],
  ]);
  t.same(componentClasses(plan), { f: "parameters", w: "data" });
  t.end();
});

t.test("what is as approved or milder has no objections", (t) => {
  const approved = approvedNetwork({ file: "acme.cvl" }, planOf([["w", "replace"]]));
  t.same(objections(planOf([["w", "replace"]]), approved), []);
  t.same(objections(planOf([["w", "parameters"]]), approved), []);
  t.same(objections(planOf([]), approved), []);
  t.end();
});

t.test("another input digest, a more severe class and a component nobody saw are objected to", (t) => {
  const approved = approvedNetwork({ file: "acme.cvl" }, planOf([["w", "parameters"]]));
  const found = objections(
    planOf(
      [
        ["w", "replace"],
        ["toString", "restart"],
      ],
      digest("b"),
    ),
    approved,
  );
  t.equal(found.length, 3);
  t.match(found[0], /input digest bbbbbbbbbbbb, approved aaaaaaaaaaaa/);
  t.match(found.join("\n"), /toString would be of class restart, approved was none/);
  t.match(found.join("\n"), /w would be of class replace, approved was parameters/);
  t.end();
});

t.test("an approval survives JSON, and anything else is refused", (t) => {
  const commit = "0123456789".repeat(4);
  const networks = [approvedNetwork({ file: "acme.cvl", object: "Acme" }, planOf([["w", "data"]]))];
  const approval = { format: 1 as const, base: commit, head: commit, networks };
  t.same(readApproval(JSON.stringify(approval), "the record"), approval);
  for (const bad of ["", "{}", "[]", JSON.stringify({ ...approval, format: 2 }), '{"format":1']) {
    t.throws(() => readApproval(bad, "the record"), { code: "INVALID_INPUT" });
  }
  const unknown = JSON.stringify(approval).replace('"data"', '"everything"');
  t.throws(() => readApproval(unknown, "the record"), { code: "INVALID_INPUT" });
  t.end();
});
