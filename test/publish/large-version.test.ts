import { execFileSync } from "node:child_process";
import t from "tap";
import { withMirrors } from "../../src/appliance/mirrors.ts";
import { openGitObjects } from "../../src/git/objects.ts";
import { ALL_RULES, checkVersion } from "../../src/publish/check-version.ts";
import { openCandidate } from "../../src/publish/version-candidate.ts";
import { git, gitAt, scratch } from "../git/git-fixture.ts";

t.test(
  "a version with more files than are looked at is told the limit, not that it has no CVL",
  async (t) => {
    const { folder, cache } = scratch(t);
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", ".");
    const write =
      (...args: string[]) =>
      (input: string) =>
        execFileSync("git", args, { cwd: folder, input, encoding: "utf8" }).trim();
    const makeTree = write("mktree");
    const blob = write("hash-object", "-w", "--stdin")("A extends VMAppliance { }\n");
    const times = (count: number, line: (at: number) => string) =>
      Array.from({ length: count }, (_, at) => line(at)).join("");
    const thousand = makeTree(times(1000, (at) => `100644 blob ${blob}\tA${at}.cvl\n`));
    const million = makeTree(times(1000, (at) => `040000 tree ${thousand}\td${at}\n`));
    const tree = makeTree(`040000 tree ${million}\td\n100644 blob ${blob}\tA.cvl\n`);
    const commit = git(folder, "commit-tree", "-m", "large", tree);
    const diagnostics = await withMirrors(
      gitAt(folder),
      async (mirrors) => {
        const objects = openGitObjects(gitAt(folder));
        const candidate = openCandidate({
          ...{ where: "v1", mirrors, git: gitAt(folder), objects, commit, version: 1, numbers: new Set() },
          imports: { baseUrl: folder },
          findMissing: () => Promise.resolve([]),
        });
        try {
          return await checkVersion(candidate, ALL_RULES);
        } finally {
          await objects.close();
        }
      },
      { cache },
    );
    t.match(diagnostics, [
      {
        code: "VERSION_TOO_LARGE",
        message: "it has more than 1000000 files",
        hint: /keep only the appliance/,
      },
    ]);
  },
);
