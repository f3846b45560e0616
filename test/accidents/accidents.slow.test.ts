/**
 * Random sequences of a user's accidents on a lab lose no data disk, give no address twice, leave nothing that blocks and end
 * with a status that is true. Two of 200 by default, whose seeds are printed; all in `npm run test:exhaustive`. CUI_SEED runs the
 * sequence of one seed, or says with which of all to begin.
 */
import t from "tap";
import { missingForEndToEnd } from "../e2e/requirements.ts";
import { play, shorten } from "./play.ts";
import { describeStep, randomSequence } from "./sequence.ts";
import { createWorld } from "./world.ts";

const missing = missingForEndToEnd();
const isExhaustive = process.env["CUI_EXHAUSTIVE"] === "1";
const asked = process.env["CUI_SEED"];
const SHORTENING_TRIES = 12;
const ALL = 200;

function chooseSeeds(): number[] {
  if (isExhaustive) return Array.from({ length: ALL }, (_, at) => Number(asked ?? 1) + at);
  if (asked !== undefined) return [Number(asked)];
  const first = Math.floor(Math.random() * (ALL - 1)) + 1;
  return [first, first + 1];
}

await t.test("accidents", { skip: missing ?? false, timeout: 86_400_000 }, async (t) => {
  const world = await createWorld();
  t.teardown(() => world.close());
  for (const seed of chooseSeeds()) {
    await t.test(`CUI_SEED=${seed}`, async (t) => {
      const sequence = randomSequence(seed);
      const startedAt = performance.now();
      const played = await play(world, sequence);
      for (const line of played.log) t.comment(line);
      t.comment(`${sequence.steps.length} steps in ${Math.round((performance.now() - startedAt) / 1000)} s`);
      if (played.problems.length === 0) {
        t.pass("nothing is lost, shared or untrue");
        return;
      }
      const shorter = await shorten(world, sequence, SHORTENING_TRIES);
      const { problems, log } = shorter.played ?? played;
      t.fail(
        [
          ...problems,
          `CUI_SEED=${seed}, ${sequence.sites} site(s), shortened to:`,
          ...shorter.sequence.steps.map((step) => `  ${describeStep(step)}`),
          "what happened:",
          ...log,
        ].join("\n"),
      );
    });
  }
});
