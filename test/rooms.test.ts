/** The folders of src: their sizes, and that what their README files say is there. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import t from "tap";

const MOST_FILES = 40;
const MOST_LINES = 5000;
const LONGEST_FILE = 400;
/** A grammar is read as one piece. */
const MAY_BE_LONGER = ["src/cvl/parse/grammar.ts"];

const folders = [
  "src",
  ...readdirSync("src", { recursive: true, encoding: "utf8" }).map((name) => `src/${name}`),
].filter((name) => statSync(name).isDirectory());
const rooms = folders.filter(
  (folder) => folder.split("/").length === 2 && sourcesIn(folder, true).length > 0,
);

function sourcesIn(folder: string, recursive: boolean): string[] {
  return readdirSync(folder, { recursive, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => path.join(folder, name));
}

function linesOf(file: string): number {
  return readFileSync(file, "utf8").split("\n").length - 1;
}

t.test("no folder and no file is too large to be known as a whole", (t) => {
  for (const folder of folders) {
    const files = sourcesIn(folder, false);
    if (folder !== "src/cli/verbs") t.ok(files.length <= MOST_FILES, `${folder} has ${files.length} files`);
    const lines = files.reduce((sum, file) => sum + linesOf(file), 0);
    t.ok(lines <= MOST_LINES, `${folder} has ${lines} lines`);
    for (const file of files) {
      if (MAY_BE_LONGER.includes(file)) continue;
      t.ok(linesOf(file) <= LONGEST_FILE, `${file} has ${linesOf(file)} lines`);
    }
  }
  t.end();
});

t.test("each room has a README, and what it names is there", (t) => {
  const ground = sourcesIn("src", false)
    .map((file) => readFileSync(file, "utf8"))
    .join("\n");
  for (const room of rooms) {
    const text = readFileSync(`${room}/README.md`, "utf8");
    const length = text.trimEnd().split("\n").length;
    t.ok(length >= 10 && length <= 30, `${room}/README.md has ${length} lines`);
    const files = sourcesIn(room, true);
    const exported = `${ground}\n${files.map((file) => readFileSync(file, "utf8")).join("\n")}`;
    for (const [, name = ""] of text.matchAll(/`([a-z]\w+)\(\)`/g))
      t.match(exported, new RegExp(`export (async )?function ${name}\\b`), `${room}: ${name}()`);
    for (const [, name = ""] of text.matchAll(/`([a-z-]+\.ts)`/g))
      t.ok(
        files.some((file) => path.basename(file) === name),
        `${room}: ${name}`,
      );
  }
  t.end();
});

t.test("the way from each verb and action to its code is in the documentation", (t) => {
  const text = readFileSync("docs/architecture.md", "utf8");
  const rows = [...text.matchAll(/^\| `([a-z -]+)` +\| `(\w+)` +\| `(src\/[^`]+)` +\|$/gm)];
  for (const [, name = "", called = "", file = ""] of rows)
    t.match(
      readFileSync(file, "utf8"),
      new RegExp(`export (async )?function ${called}\\b`),
      `${name}: ${called}`,
    );
  const named = rows.map(([, name = ""]) => name.split(" ")[0]);
  const verbs = readdirSync("src/cli/verbs").map((file) => path.basename(file, ".ts"));
  const actions = readdirSync("actions").filter((name) => existsSync(`actions/${name}/main.ts`));
  t.same([...new Set(named)].sort(), [...new Set([...verbs, ...actions])].sort());
  t.end();
});

t.test("the rooms and their order are those of the rules for imports", (t) => {
  const rules = readFileSync(".dependency-cruiser.cjs", "utf8");
  for (const room of rooms) t.match(rules, new RegExp(`"${room.slice("src/".length)}[/"]`), room);
  t.end();
});
