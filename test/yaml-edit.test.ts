/** Edits of a YAML text: what changes, character by character, in each manner a file is written in. */
import { test } from "tap";
import { parse } from "yaml";
import { appendItem, removeItem, replaceItem, setKey } from "../src/yaml-edit.ts";

interface Case {
  readonly before: string;
  readonly after: string;
  readonly edit: (text: string) => string;
}

const append = (text: string): string => appendItem(text, "list", 7);
const remove =
  (index: number) =>
  (text: string): string =>
    removeItem(text, "list", index);
const set = (text: string): string => setKey(text, "key", { a: 1, b: "x" });

const CASES: Record<string, Case> = {
  "to a block list": {
    before: "list:\n- 5 # five\n# end\n",
    after: "list:\n- 5 # five\n- 7\n# end\n",
    edit: append,
  },
  "to a flow list": {
    before: "list: [5,6] # two\nx: 1\n",
    after: "list: [5,6, 7] # two\nx: 1\n",
    edit: append,
  },
  "to a list that is empty": {
    before: "list: []  # none\nx: [1]\n",
    after: "list: # none\n  - 7\nx: [1]\n",
    edit: append,
  },
  "to a key without a value": {
    before: "a:  1\nlist:   # none\nx: [1]\n",
    after: "a:  1\nlist: # none\n  - 7\nx: [1]\n",
    edit: append,
  },
  "to a list that is not there": {
    before: "a:  1 # one\n\n# end\n",
    after: "a:  1 # one\n\n# end\nlist:\n  - 7\n",
    edit: append,
  },
  "the first of a block list": {
    before: "list:\n  # the machines\n  - 5 # five\n  # six\n  - 6\nx: [1]\n",
    after: "list:\n  # the machines\n  # six\n  - 6\nx: [1]\n",
    edit: remove(0),
  },
  "one in a block list, with what is said of it": {
    before: "list:\n  - 5\n\n  # of all\n\n  # six,\n  # not seven\n  - {n: 6} # here\n  - 8\n",
    after: "list:\n  - 5\n\n  # of all\n\n  - 8\n",
    edit: remove(1),
  },
  "one of several lines": {
    before: "list:\n  - name: a\n    of: [1,2]\n\n  - name: b # second\n    of: [3]\n# end\n",
    after: "list:\n  - name: a\n    of: [1,2]\n\n# end\n",
    edit: remove(1),
  },
  "the only one of a block list": {
    before: "a: {b:  1}\nlist: # mine\n  - name: a\n    of: 1\nx: [1]\n",
    after: "a: {b:  1}\nlist: [] # mine\nx: [1]\n",
    edit: remove(0),
  },
  "the only one of a flow list": {
    before: "list: [ 5 ] # five\n",
    after: "list: [] # five\n",
    edit: remove(0),
  },
  "the first of a flow list": { before: "list: [5,  6,7]\n", after: "list: [6,7]\n", edit: remove(0) },
  "the last of a flow list": { before: "list: [5,  6 , 7 ]\n", after: "list: [5,  6 ]\n", edit: remove(2) },
  "a line of a flow list": {
    before: "list: [\n  5, # five\n  6, # six\n  7\n]\n",
    after: "list: [\n  5, # five\n  7\n]\n",
    edit: remove(1),
  },
  "the last line of a flow list": {
    before: "list: [\n  5, # five\n  7 # seven\n]\n",
    after: "list: [\n  5, # five\n]\n",
    edit: remove(1),
  },
  "an element for another": {
    before: "list:\n  # first\n  - name: a # A\n    of: 1\n  - {n: 2}\n",
    after: "list:\n  # first\n  - { name: b }\n  - {n: 2}\n",
    edit: (text) => replaceItem(text, "list", 0, { name: "b" }),
  },
  "an element of a flow list for another": {
    before: "list: [ 5,'6' ] # two\n",
    after: 'list: [ 5,"on" ] # two\n',
    edit: (text) => replaceItem(text, "list", 1, "on"),
  },
  "a value on its line": {
    before: "key: {a:  2} # k\nx: [1]\n",
    after: "key: { a: 1, b: x } # k\nx: [1]\n",
    edit: set,
  },
  "a value on lines of its own": {
    before: "key: # k\n  a: 2\n  b:   y\n\n# of x\nx: [1]\n",
    after: "key: { a: 1, b: x } # k\n\n# of x\nx: [1]\n",
    edit: set,
  },
  "a value that is not there": { before: "x: [1]\n", after: "x: [1]\nkey: { a: 1, b: x }\n", edit: set },
};

test("nothing else changes", (t) => {
  const crlf = (text: string): string => text.replaceAll("\n", "\r\n");
  const manners: Record<string, (text: string) => string> = {
    LF: (text) => text,
    CRLF: crlf,
    "a byte order mark": (text) => `\ufeff${text}`,
    both: (text) => `\ufeff${crlf(text)}`,
    "no newline at the end": (text) => text.replace(/\n$/, ""),
  };
  for (const [manner, write] of Object.entries(manners))
    for (const [name, { before, after, edit }] of Object.entries(CASES))
      t.equal(edit(write(before)), write(after), `${name}, ${manner}`);
  t.end();
});

test("in an unusual manner the value is right, whatever becomes of the layout", (t) => {
  for (const [text, edit, value] of [
    ["list: &a [5]\ncopy: *a\n", append, { list: [5, 7], copy: [5, 7] }],
    ["{x: 1, list: [5]}", append, { x: 1, list: [5, 7] }],
    ["{x: 1}", append, { x: 1, list: [7] }],
    ["? list\n: - 5\n  - 6\n", remove(0), { list: [6] }],
    ["list: !!seq\n  - 5\n", remove(0), { list: [] }],
    ["list:\n  - - 5\n    - 6\n  - 8\n", remove(0), { list: [8] }],
    ["list:\n  - |\n    text - here\n\n  - 8\n", remove(0), { list: [8] }],
    ['list:\n  - "a\n    - b"\n  - 8\n', remove(1), { list: ["a - b"] }],
    ["list: [5 # five\n  , 6]\n", remove(0), { list: [6] }],
    ["list:\n  -\n    name: a\n  -\n    name: b\n", remove(1), { list: [{ name: "a" }] }],
    ["key: |\n  a\n  b\nx: 1\n", set, { key: { a: 1, b: "x" }, x: 1 }],
    ["key:\nx: 1\n", set, { key: { a: 1, b: "x" }, x: 1 }],
    ["x: 1\n...\n", set, { key: { a: 1, b: "x" }, x: 1 }],
    ["", set, { format: 1, key: { a: 1, b: "x" } }],
  ] as const)
    t.same(parse(edit(text)), value, text);
  t.end();
});

test("lists that were added to and removed from at random hold what they should", (t) => {
  for (let seed = 1; seed <= 300; seed++) {
    let state = seed;
    const next = (below: number): number => {
      state = (state * 48271) % 2147483647;
      return state % below;
    };
    const isFlow = next(2) === 0;
    const values: number[] = Array.from({ length: next(4) }, (_, index) => index);
    const pad = " ".repeat(next(3));
    let text = isFlow
      ? `# top\nlist: [${pad}${values.join(`,${pad}`)}${pad}] # L\nx: [1,2]  # X\n`
      : `# top\nlist: # L\n${values.map((value) => `${pad}- ${value}  # n${value}\n`).join("")}x: [1,2]  # X\n`;
    for (let step = 0; step < 6; step++) {
      const at = next(values.length + 1);
      if (at === values.length) {
        values.push(10 + step);
        text = appendItem(text, "list", 10 + step);
      } else {
        values.splice(at, 1);
        text = removeItem(text, "list", at);
      }
      t.strictSame(parse(text), { list: values, x: [1, 2] }, `seed ${seed}\n${text}`);
      t.match(text, /^# top\n/);
      t.match(text, /^list:.* # L$/m);
      t.match(text, /^x: \[1,2\] {2}# X$/m);
    }
  }
  t.end();
});
