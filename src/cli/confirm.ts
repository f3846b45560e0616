/** What takes machines or data away is confirmed by a person, or by `--yes` in a script. */
import { visible } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import type { CliContext } from "./context.ts";

/** `what` names what goes and where its data stays, a line each. @throws CollectiveError UTILITY_NOT_CONFIRMED */
export async function confirm(
  context: CliContext,
  what: readonly string[],
  { yes = false }: { readonly yes?: boolean | undefined } = {},
): Promise<void> {
  if (yes || what.length === 0) return;
  if (context.ask !== undefined) {
    for (const line of what) context.warn(visible(line));
    const answer = await context.ask("Do it? (yes/no) ");
    if (/^y(es)?$/i.test(answer.trim())) return;
    throw new CollectiveError("UTILITY_NOT_CONFIRMED", "nothing was changed");
  }
  throw new CollectiveError(
    "UTILITY_NOT_CONFIRMED",
    `this takes something away, and nobody can be asked here:\n  ${what.map(visible).join("\n  ")}`,
    { data: { what }, hint: "say --yes if that is meant; nothing was changed" },
  );
}

/**
 * What is gone for good is asked about twice: the second time with a word to type, which nobody types by habit.
 * @throws CollectiveError UTILITY_NOT_CONFIRMED
 */
export async function confirmForGood(
  context: CliContext,
  what: readonly string[],
  { yes, word }: { readonly yes?: boolean | undefined; readonly word: string },
): Promise<void> {
  await confirm(context, what, { yes });
  if (yes === true || what.length === 0 || context.ask === undefined) return;
  const answer = await context.ask(`Nothing brings it back. Type ${word} to go on: `);
  if (answer.trim() === word) return;
  throw new CollectiveError("UTILITY_NOT_CONFIRMED", "nothing was changed");
}
