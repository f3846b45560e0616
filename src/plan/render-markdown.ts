/**
 * A plan, or those of a whole site, as the Markdown of a comment: a headline of at most eight lines, a picture, each network
 * collapsed. It is never longer than the limit; details of harmless changes go first, destructive ones are condensed only
 * when nothing else is left, and never dropped in silence.
 */
import { renderCondensed } from "./markdown-condensed.ts";
import { renderDetails, renderDiagram, type Richness } from "./markdown-details.ts";
import { renderHeadline } from "./markdown-headline.ts";
import type { PlanMarkdownOptions, PlannedNetwork } from "./markdown-model.ts";

const DEFAULT_LIMIT = 60_000;
/** The bounded lines of the condensed form fit into it. */
const SMALLEST_LIMIT = 10_000;
const LONGEST_POINTER = 1000;
const WHOLE_PLAN = "the artifact of this run";

const LEVELS: readonly Richness[] = [
  { diagram: true, destructive: "reasons", others: "reasons" },
  { diagram: false, destructive: "reasons", others: "reasons" },
  { diagram: false, destructive: "reasons", others: "names" },
  { diagram: false, destructive: "names", others: "names" },
  { diagram: false, destructive: "names", others: "counts" },
];

/** Without a newline at its end. Every name and text in it is escaped: see escape-markdown.ts. */
export function renderPlanMarkdown(
  networks: readonly PlannedNetwork[],
  options: PlanMarkdownOptions = {},
): string {
  const limit = Math.max(SMALLEST_LIMIT, options.limit ?? DEFAULT_LIMIT);
  const wholePlan = (options.wholePlan ?? WHOLE_PLAN).slice(0, LONGEST_POINTER);
  const headline = renderHeadline(networks);
  for (const richness of LEVELS) {
    const text = within(limit, renderLevel(networks, { richness, headline, wholePlan }));
    if (text !== undefined) return text;
  }
  return renderCondensed(networks, { limit, headline, wholePlan });
}

interface LevelOptions {
  readonly richness: Richness;
  readonly headline: readonly string[];
  readonly wholePlan: string;
}

function* renderLevel(
  networks: readonly PlannedNetwork[],
  { richness, headline, wholePlan }: LevelOptions,
): Iterable<string> {
  yield* headline;
  // A picture inside a closed block is drawn badly: one network's stands above it.
  const [only, ...more] = networks.filter(hasContent);
  const isAlone = only !== undefined && more.length === 0;
  if (isAlone && richness.diagram) yield* renderDiagram(only);
  for (const network of networks.filter(hasContent)) {
    yield "";
    yield* renderDetails(network, { ...richness, diagram: richness.diagram && !isAlone });
  }
  if (richness !== LEVELS[0]) yield `\nShortened to fit; the whole plan: ${wholePlan}`;
}

/** A network to which nothing happens and of which nothing is to be said needs no block. */
function hasContent({ plan }: PlannedNetwork): boolean {
  return plan === null || plan.actions.length + plan.warnings.length + plan.refusals.length > 0;
}

/** The lines joined, or undefined as soon as they are too long. */
function within(limit: number, lines: Iterable<string>): string | undefined {
  const kept: string[] = [];
  let length = -1;
  for (const line of lines) {
    length += line.length + 1;
    if (length > limit) return undefined;
    kept.push(line);
  }
  return kept.join("\n");
}
