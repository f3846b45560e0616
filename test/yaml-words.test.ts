/** What is said of a YAML file with mistakes, by the readers themselves. */
import { test } from "tap";
import { parseLock } from "../src/appliance/lock.ts";
import { parseVmDescription } from "../src/appliance/vm-description.ts";
import { readApproval } from "../src/plan/approval.ts";
import { readTokens } from "../src/serve/token-file.ts";
import { parseInventory } from "../src/site/read-inventory.ts";

const MISTAKES: Record<string, RegExp> = {
  "format: 1\n---\nformat: 1\n": /a second document begins here/,
  "format: 1\nformat: 1\n": /this key is in the map already/,
  "format: 1\nhosts:\n\t- a\n": /there is a tab/,
  "format: 1\nhosts:\n  - a\n - b\n": /expected/,
  "format: 1\nhosts\n": /expected `key: value`/,
  "format: 1\nhosts\nvlans: [5]\n": /expected `key: value` on one line/,
  "format: 1: 2\n": /a value that has one is put in quotes/,
  'format: "\\q"\n': /this escape is not known/,
  "format: @a\n": /begins with this character is put in quotes/,
  "format: &a &b 1\n": /one anchor/,
  "format: !a !b 1\n": /one tag/,
  'format: "1\n': /a closing quote/,
  "format: [1 2, {a b}\n": /expected/,
  'format: "1"# one\n': /expected a space before `#`/,
  "format: *none\n": /alias/,
  "format: ]\n": /./,
  "format: [1\n": /./,
};

test("a mistake is told in the words of those who write the file", (t) => {
  for (const [text, expected] of Object.entries(MISTAKES))
    for (const read of [parseInventory, parseLock, parseVmDescription]) {
      const { diagnostics } = read(text, "f.yaml");
      t.ok(diagnostics.length > 0, text);
      t.match(diagnostics.map(({ message }) => message).join("\n"), expected, text);
      for (const { message } of diagnostics)
        t.notMatch(
          message,
          /YAML\.|implicit|scalar|sequence|mapping|compact|\bobject|\barray|Invalid input/i,
          text,
        );
    }
  t.end();
});

test("a value of another kind than expected", (t) => {
  const messages = (text: string): string[] =>
    parseInventory(text, "u").diagnostics.map(({ message }) => message);
  t.same(messages("[]"), ["utility.yaml: expected a map, found a list"]);
  t.same(messages("format: 1\nhosts: 3\n"), ["hosts: expected a list, found a number"]);
  t.same(messages("format: 1\nhosts: [{name: a}]\n"), ["hosts[0].address: expected text, found nothing"]);
  t.same(messages("format: 1\nhosts: [a]\n"), ["hosts[0]: expected a map, found text"]);
  t.end();
});

test("what is wrong with the whole of a file has no place before it", async (t) => {
  const folder = t.testdir({
    "t.txt": "dear diary\n",
    "list.yaml": "- a\n",
    "empty.yaml": "",
    "one.yaml": "format: 1\ntokens: [{ name: a, sha256: b, rights: write }]\n",
  });
  const why = (name: string): Promise<unknown> =>
    readTokens(`${folder}/${name}`).then(
      () => "nothing",
      (error: unknown) => (error as Error).message.replace(/^.* cannot be used: /, ""),
    );
  t.equal(await why("t.txt"), "expected a map, found text");
  t.equal(await why("list.yaml"), "expected a map, found a list");
  t.equal(await why("empty.yaml"), "expected a map, found nothing");
  t.equal(await why("one.yaml"), "tokens.0.sha256: expected 64 lowercase hex digits");
  t.equal(await why("t.txt/t.yaml"), "not a directory");
  t.throws(() => readApproval('"yes"', "a.json"), { message: /at the top/ });
});
