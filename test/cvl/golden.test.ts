/**
 * Every folder of test/golden/cvl is a case: one root file; imports lie in `<url>/v<version>/`; `expected.json` is what
 * evaluating gives, `diagnostics.txt` what is reported. `UPDATE_GOLDEN=1 npm test -- test/cvl/golden` writes both.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import t from "tap";
import { decodeText } from "../../src/cvl/parse/decode-text.ts";
import { evaluate } from "../../src/cvl/evaluate/evaluate.ts";
import { format } from "../../src/cvl/format/format.ts";
import { link } from "../../src/cvl/link/link.ts";
import type { ImportResolver, SourceFile } from "../../src/cvl/source.ts";
import { renderDiagnostic, type Diagnostic } from "../../src/diagnostics.ts";
import { treeToJson } from "./programs.ts";

const CASES = path.resolve("test/golden/cvl");
const isUpdate = process.env["UPDATE_GOLDEN"] === "1";

for (const name of readdirSync(CASES).sort()) {
  t.test(name, async (t) => {
    const { json, diagnostics } = await runCase(path.join(CASES, name));
    expectFile(t, path.join(CASES, name, "expected.json"), json);
    expectFile(t, path.join(CASES, name, "diagnostics.txt"), diagnostics);
  });
}

t.test("every diagnostic code of cvl is provoked by a case and has a row in docs/errors.md", (t) => {
  const codes =
    readFileSync("src/diagnostics.ts", "utf8")
      .match(/"CVL_[A-Z_]+"/g)
      ?.map((code) => code.slice(1, -1))
      // Which files are to be formatted is not for the language to say.
      .filter((code) => code !== "CVL_FORMAT") ?? [];
  const reported = readdirSync(CASES)
    .map((name) => readIfThere(path.join(CASES, name, "diagnostics.txt")))
    .join("\n");
  const documentation = readFileSync("docs/errors.md", "utf8");
  t.ok(codes.length > 30);
  for (const code of codes) {
    t.match(reported, new RegExp(` ${code}: `), `${code} is provoked`);
    t.match(documentation, new RegExp(`^\\| \`${code}\` `, "m"), `${code} is documented`);
  }
  t.end();
});

t.test("the groupware's users set 14 parameters in place of 30", async (t) => {
  const { tree } = await runCase(path.join(CASES, "groupware"));
  const root = tree?.components.get("");
  const names = [...(root?.parameters.keys() ?? [])].filter(
    (name) => root?.parameters.get(name)?.declared.file.file === "Groupware.cvl",
  );
  t.equal(names.length, 14);
  const uses = [...(tree?.components.values() ?? [])].flatMap(({ path, parameters }) =>
    path === "" ? [] : names.filter((name) => parameters.has(name)),
  );
  t.equal(uses.length, 30);
});

t.test("the cases without mistakes are formatted without losing a value", async (t) => {
  for (const name of readdirSync(CASES).filter((entry) => !entry.startsWith("error-"))) {
    const before = await runCase(path.join(CASES, name));
    const after = await runCase(path.join(CASES, name), (text) => format(text, "x.cvl").text);
    t.equal(after.json, before.json, name);
  }
});

interface CaseResult {
  readonly tree: ReturnType<typeof evaluate>["tree"] | undefined;
  readonly json: string;
  readonly diagnostics: string;
}

async function runCase(folder: string, change = (text: string) => text): Promise<CaseResult> {
  const file = readdirSync(folder).find((entry) => entry.endsWith(".cvl")) ?? "";
  const texts = new Map<string, string>();
  const read = (location: string, displayName: string, source: SourceFile["source"]): SourceFile => {
    const { text } = decodeText(readFileSync(path.join(folder, location)), displayName);
    texts.set(displayName, text);
    return { source, file: path.basename(location), displayName, text: change(text) };
  };
  const root = read(file, file, { url: "/site", version: null, commit: null });
  const encoding = decodeText(readFileSync(path.join(folder, file)), file).diagnostics;
  const { program, diagnostics } = await link(root, folderResolver(folder, read));
  const result = program === undefined ? undefined : evaluate(program);
  const all: readonly Diagnostic[] = [...encoding, ...diagnostics, ...(result?.diagnostics ?? [])];
  const isSound = !all.some(({ severity }) => severity === "error");
  return {
    tree: result?.tree,
    json:
      result === undefined || !isSound
        ? ""
        : `${JSON.stringify(JSON.parse(treeToJson(result.tree)), undefined, 1)}\n`,
    diagnostics: all
      .map((diagnostic) => `${renderDiagnostic(diagnostic, (name) => texts.get(name))}\n`)
      .join("\n"),
  };
}

type ReadFile = (location: string, displayName: string, source: SourceFile["source"]) => SourceFile;

function folderResolver(folder: string, read: ReadFile): ImportResolver {
  return {
    resolve: (request) => {
      const repository = request.url.replace("://", "_").replaceAll("/", "_");
      const versions = existsSync(path.join(folder, repository))
        ? readdirSync(path.join(folder, repository))
        : [];
      const newest = Math.max(0, ...versions.map((version) => Number(version.slice(1))));
      const version = request.version ?? newest;
      const location = path.join(repository, `v${version}`, request.cvl);
      if (!existsSync(path.join(folder, location))) {
        const { span } = request;
        return Promise.resolve({
          code: "CVL_IMPORT_OBJECT",
          severity: "error",
          message: "no such file",
          span,
        } as const);
      }
      const commit = version.toString(16).padStart(40, "0");
      return Promise.resolve(
        read(location, `${request.url}@v${version}:${request.cvl}`, { url: request.url, version, commit }),
      );
    },
  };
}

function expectFile(
  t: { equal(found: string, wanted: string, name: string): unknown },
  file: string,
  content: string,
): void {
  if (isUpdate && content === "") rmSync(file, { force: true });
  else if (isUpdate) writeFileSync(file, content);
  t.equal(content, readIfThere(file), path.basename(file));
}

function readIfThere(file: string): string {
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}
