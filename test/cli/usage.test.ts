/** A wrong argument of a verb ends it with exit status 2, before anything is done. */
import { test } from "tap";
import { runCli } from "../../src/cli/main.ts";

async function cui(cwd: string, ...args: readonly string[]): Promise<{ status: number; warned: string }> {
  const warned: string[] = [];
  const status = await runCli(args, {
    ...{ cwd, env: {}, isTerminal: false, print: () => undefined },
    warn: (text) => warned.push(text),
  });
  return { status, warned: warned.join("\n") };
}

const CASES: readonly (readonly [args: readonly string[], said: RegExp])[] = [
  [["lab", "up", "--hosts", "0"], /USAGE: a lab has 1 to 16 hosts, not 0/],
  [["lab", "up", "--hosts", "17"], /USAGE: a lab has 1 to 16 hosts, not 17/],
  [["lab", "up", "--hosts", "two"], /expected a number/],
  [
    ["runner", "ftp://example.org/site", "--once"],
    /USAGE: the scheme ftp:\/\/ is not allowed\n {2}hint: write https/,
  ],
  [
    ["runner", "site.git", "--folder", "../x"],
    /USAGE: expected the folder of the site in its repository, got "\.\.\/x"/,
  ],
  [["lock"], /USAGE: there is no CVL file in/],
  [["disk", "add"], /USAGE: there is no CVL file in/],
  [["init", "web", "Web", "--actions", "acme"], /USAGE: --actions expects owner\/repo@tag/],
];

for (const [args, said] of CASES) {
  test(args.join(" "), async (t) => {
    t.match(await cui(t.testdir({}), ...args), { status: 2, warned: said });
  });
}

test("which of several CVL files is meant is not guessed", async (t) => {
  const cwd = t.testdir({ "a.cvl": "A extends VMAppliance {\n}\n", "b.cvl": "B extends VMAppliance {\n}\n" });
  t.match(await cui(cwd, "disk", "add"), {
    status: 2,
    warned: /USAGE: there are several CVL files: a\.cvl, b\.cvl\n {2}hint: name the CVL file/,
  });
});
