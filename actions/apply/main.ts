/** `actions/apply`: rolls a merged commit out. */
import { runApplyJob } from "../../src/forge/jobs/apply-job.ts";
import { runAction } from "../run-action.ts";
import { readSeconds } from "../seconds.ts";

await runAction({
  read: (inputs) => ({
    site: inputs.text("site") ?? ".",
    branch: inputs.text("branch"),
    environment: inputs.text("environment") ?? "production",
    planApp: inputs.text("plan-app") ?? "github-actions",
    acceptRewind: inputs.text("accept-rewind"),
    retry: inputs.flag("retry", false),
    waitSeconds: readSeconds(inputs, "wait", { fallback: 1800, least: 0 }),
  }),
  run: runApplyJob,
});
