/** What workflows, templates and documents pin: each in the list, the list nothing else, and on a runtime GitHub still has. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import t from "tap";
import { loadGitHubValidator } from "./github-validator.ts";
import {
  findPinnedRuntimeProblems,
  findPinProblems,
  listUses,
  lookUpInputs,
  readPinnedActions,
  type PinnedActions,
} from "./pins.ts";

const LIST = "test/actions/pinned-actions.yaml";
const pinned = readPinnedActions(LIST);

/** Every file a workflow may stand in. */
function filesWithUses(): string[] {
  const folders = ["docs", "actions", "templates", ".github"].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => path.join(folder, name)),
  );
  return ["README.md", "action.yml", ...folders].filter((file) => /\.(?:md|ya?ml)$/.test(file));
}

/** The workflows shown in a document. */
function workflowsIn(document: string): string[] {
  return [...document.matchAll(/```yaml\n([^]*?)```/g)].map(([, text = ""]) => text).filter(isWorkflow);
}

function isWorkflow(text: string): boolean {
  return /^jobs:/m.test(text);
}

t.test("every pin is in the list, and the list holds nothing else", (t) => {
  const texts = filesWithUses().map((file) => ({ file, text: readFileSync(file, "utf8") }));
  for (const { file, text } of texts) t.strictSame(findPinProblems(text, pinned), [], file);
  const files = texts.filter(({ text }) => listUses(text).length > 0).map(({ file }) => file);
  const some = [".github/workflows/ci.yml", "actions/plan/README.md", "docs/github.md"];
  t.strictSame(
    some.filter((file) => !files.includes(file)),
    [],
  );
  const used = texts.flatMap(({ text }) => listUses(text)).map((use) => use.replace(/@.*/, ""));
  t.strictSame(
    Object.keys(pinned).filter((name) => !used.includes(name)),
    [],
  );
  t.end();
});

t.test("no pinned action asks for a runtime that GitHub has removed", (t) => {
  t.strictSame(findPinnedRuntimeProblems(pinned), []);
  t.end();
});

t.test("workflows in documents are what GitHub would take", async (t) => {
  const { validateWorkflow } = await loadGitHubValidator(t.testdir({}));
  const documents = filesWithUses().filter((file) => file.endsWith(".md"));
  const workflows = documents.flatMap((file) =>
    workflowsIn(readFileSync(file, "utf8")).map((text) => ({ file, text })),
  );
  t.ok(workflows.length >= 7);
  for (const { file, text } of workflows)
    t.strictSame(await validateWorkflow(text, (action) => lookUpInputs(action, pinned)), [], file);
});

t.test("each check fails on what it is for", (t) => {
  const [name = "", known] = Object.entries(pinned)[0] ?? [];
  if (known === undefined) throw new Error("the list is empty");
  const withChange = (change: object): PinnedActions => ({ ...pinned, [name]: { ...known, ...change } });
  const line = `      - uses: ${name}@${known.commit} # ${known.version}\n`;
  t.strictSame(findPinProblems(line, pinned), []);
  t.match(findPinProblems(line, {}), [/not in pinned-actions.yaml/]);
  t.match(findPinProblems(line, withChange({ version: "v1.0.0" })), [/has .* # v1.0.0/]);
  t.match(findPinProblems(line, withChange({ commit: "c".repeat(40) })), [/has c{40}/]);
  for (const using of ["node20", "node16", "node12"])
    t.match(findPinnedRuntimeProblems(withChange({ using })), [`${name}: using: ${using} was removed`]);
  t.match(findPinnedRuntimeProblems(withChange({ using: "node99" })), [/no runtime/]);
  t.strictSame(findPinnedRuntimeProblems(withChange({ using: "composite" })), []);

  const list = readFileSync(LIST, "utf8");
  const read = (from: string, to: string): PinnedActions => {
    t.ok(list.includes(from), from);
    return readPinnedActions(path.join(t.testdir({ list: list.replace(from, to) }), "list"));
  };
  t.throws(() => read(`version: ${known.version}`, "version: v7"), { name: "ZodError" });
  t.throws(() => read(`commit: ${known.commit}`, "commit: 08c6903c"), { name: "ZodError" });
  t.throws(() => read("  using: node24\n", ""), { name: "ZodError" });
  t.throws(() => read("  read: ", "  red: "), { name: "ZodError" });
  t.end();
});
