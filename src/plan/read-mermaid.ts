/** A diagram of `renderMermaid` from somewhere else: believed only when every line is one that it writes. */

const LABEL = String.raw`(?:[A-Za-z0-9 ,._:/-]|#\d{1,7};){0,2000}`;
const ID = String.raw`[msn]\d{1,6}`;
const CLASS = String.raw`:::[a-z]{1,20}`;
const MACHINE = `<b>${LABEL}</b>(?:<br/>${LABEL}){0,2}(?:<br/><i>${LABEL}</i>)?`;

const LINES = [
  "flowchart TB",
  String.raw` *${ID}\(\["external segment"\]\)${CLASS}`,
  String.raw` *subgraph ${ID}\["${LABEL}"\]`,
  String.raw` *end`,
  String.raw` *${ID}\["${LABEL}"\]${CLASS}`,
  String.raw` *${ID}\("${MACHINE}"\)${CLASS}`,
  String.raw` *${ID} ---(?:\|"${LABEL}"\|)? ${ID}`,
  String.raw` *${ID} -\. "${LABEL}" \.-> ${ID}`,
  String.raw` *classDef [a-z]{1,20} fill:#[0-9a-f]{6},stroke:#[0-9a-f]{6},color:#[0-9a-f]{6}`,
].map((line) => new RegExp(`^${line}$`));

const LONGEST = 2_000_000;

/** The diagram, or undefined when it is no diagram of ours: nothing in it links, calls or includes anything. */
export function readMermaid(text: string): string | undefined {
  if (text.length > LONGEST || !text.startsWith("flowchart TB\n")) return undefined;
  return text.split("\n").every((line) => LINES.some((pattern) => pattern.test(line))) ? text : undefined;
}
