/** `actions/apply`: rolls a merged commit out. */
import { CollectiveError } from "../../src/errors.ts";
import { runApplyJob } from "../../src/forge/jobs/apply-job.ts";
import { runAction } from "../run-action.ts";
import type { InputReader } from "../inputs.ts";

await runAction({
  read: (inputs) => ({
    site: inputs.text("site") ?? ".",
    branch: inputs.text("branch"),
    environment: inputs.text("environment") ?? "production",
    planApp: inputs.text("plan-app") ?? "github-actions",
    acceptRewind: inputs.text("accept-rewind"),
    retry: inputs.flag("retry", false),
    waitSeconds: readSeconds(inputs, "wait", 1800),
  }),
  run: runApplyJob,
});

function readSeconds(inputs: InputReader, name: string, fallback: number): number {
  const text = inputs.text(name) ?? String(fallback);
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new CollectiveError("USAGE", `the input ${name} expects whole seconds, got ${JSON.stringify(text)}`);
}
