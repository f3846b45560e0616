/** Changes of texts at random: of tokens, of names that are there, of pieces of other texts; and the same said again and again. */
import type { Random } from "../reference/random-program.ts";

const TOKEN = /\s+|\/\/[^\n]*\n?|\/\*[^]*?\*\/|"(?:[^"\\]|\\[^])*"|[A-Za-z][A-Za-z0-9_]*|=>|[^]/g;

/** Tokens, blanks and comments: joined they are the text. */
export function tokensOf(text: string): string[] {
  return text.match(TOKEN) ?? [];
}

const WORDS = [
  ..."{};,.=".split(""),
  ...[
    "=>",
    '"',
    '"x"',
    '""',
    "var ",
    " extends ",
    "import ",
    "\n",
    " ",
    "/*",
    "*/",
    "//",
    "/* c */",
    "// c\n",
    "\\",
    '"\\n"',
    '"\n"',
  ],
  ...["VMAppliance", "VANAppliance", "Interface", "name", "vm", "vanIF", "requires", "provides", "datadisks"],
  ...[
    "ethernet0",
    ".ip",
    ".mac",
    ".subnet",
    ".netmask",
    "defaultroute",
    '"required" ',
    '"sensitive" ',
    "CVL",
    '"0.8"',
  ],
  ...[
    '"10.0.0.1"',
    '"255.255.255.0"',
    '{ device => "vdb", size => "1" }',
    '"ethernet0"',
    "root",
    "a",
    "b",
    "m",
    "n",
  ],
  ...[
    'import { url => "u", cvl => "c.cvl", version => "1" } c1;',
    'import { url => "u", cvl => "c.cvl" } c2;',
  ],
  ...[
    "root extends VANAppliance {",
    "a extends VMAppliance {",
    "var a, b;",
    "a = a, b;",
    "a = { k => a };",
    "@",
    "é",
    "\0",
    "\ud800",
  ],
];

const MAX_LENGTH = 2000;

/** One to four changes. */
export function mutate(random: Random, text: string, others: readonly string[]): string {
  let tokens = tokensOf(text);
  for (let count = 1 + random.below(4); count > 0; count -= 1) tokens = change(random, tokens, others);
  return tokens.join("").slice(0, MAX_LENGTH);
}

function change(random: Random, tokens: readonly string[], others: readonly string[]): string[] {
  const from = random.below(tokens.length + 1);
  const length = 1 + random.below(random.isTrue(1, 4) ? 30 : 4);
  const piece = tokens.slice(from, from + length);
  const without = [...tokens.slice(0, from), ...tokens.slice(from + length)];
  const at = random.below(tokens.length + 1);
  const insert = (into: readonly string[], ...put: string[]) => [
    ...into.slice(0, at),
    ...put,
    ...into.slice(at),
  ];
  switch (random.below(8)) {
    case 0:
      return without;
    case 1:
      return insert(tokens, ...piece);
    case 2:
      return insert(without, ...piece);
    case 3:
      return insert(tokens, random.pick(WORDS));
    case 4:
      return [...tokens.slice(0, from), random.pick(WORDS), ...tokens.slice(from + 1)];
    case 5: {
      const other = tokensOf(random.pick(others));
      const start = random.below(other.length + 1);
      return insert(tokens, ...other.slice(start, start + 1 + random.below(40)));
    }
    case 6: {
      const names = tokens.filter((token) => /^[A-Za-z]/.test(token));
      return names.length === 0 ? [...tokens] : replaceOne(random, tokens, random.pick(names));
    }
    default:
      return insert(tokens, ...Array.from({ length: 1 + random.below(3) }, () => piece).flat());
  }
}

function replaceOne(random: Random, tokens: readonly string[], name: string): string[] {
  const places = tokens.flatMap((token, at) => (/^[A-Za-z]/.test(token) ? [at] : []));
  const place = random.pick(places);
  return tokens.map((token, at) => (at === place ? name : token));
}

/** A piece of the text again and again up to `size` characters, its names with a number or without, or counted on to the next. */
export function amplify(random: Random, text: string, size: number): string {
  const tokens = tokensOf(text);
  const [from, to] = random.isTrue(2, 3) ? wholePiece(random, tokens) : anyPiece(random, tokens);
  const piece = tokens.slice(from, to);
  const names = [...new Set(piece.filter((token) => /^[A-Za-z]/.test(token)))];
  const numbered = new Set(names.filter(() => random.isTrue(1, 2)));
  const next = new Set(names.filter(() => random.isTrue(1, 4)));
  const copies: string[] = [];
  let left = size - text.length;
  for (let at = 0; left > 0; at += 1) {
    let isFirst = true;
    const copy = piece
      .map((token) => {
        if (!numbered.has(token)) return token;
        const number = next.has(token) && !isFirst ? at + 1 : at;
        isFirst = false;
        return `${token}${number}`;
      })
      .join("");
    copies.push(copy);
    left -= Math.max(1, copy.length);
  }
  return [...tokens.slice(0, from), ...copies, ...tokens.slice(to)].join("");
}

function anyPiece(random: Random, tokens: readonly string[]): [from: number, to: number] {
  const from = random.below(tokens.length + 1);
  return [from, from + 1 + random.below(random.isTrue(1, 2) ? 40 : 8)];
}

/** From the beginning of a statement, value, pair or object to the end of one. */
function wholePiece(random: Random, tokens: readonly string[]): [from: number, to: number] {
  const ends = tokens.flatMap((token, at) => (";,{}".includes(token) ? [at + 1] : []));
  const first = random.below(ends.length + 1);
  const from = ends[first - 1] ?? 0;
  return [from, ends[first + random.below(random.isTrue(1, 2) ? 2 : 12)] ?? tokens.length];
}
