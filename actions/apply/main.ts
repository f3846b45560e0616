/** `actions/apply`: rolls a merged commit out. */
import { runApplyJob } from "../../src/forge/jobs/apply-job.ts";
import { runAction } from "../run-action.ts";
import { readSeconds } from "../seconds.ts";
import { readSiteFolder } from "../site-folder.ts";

await runAction({
  read: (inputs) => ({
    folder: readSiteFolder(inputs),
    branch: inputs.text("branch"),
    environment: inputs.text("environment") ?? "production",
    planApp: inputs.text("plan-app") ?? "github-actions",
    acceptRewind: inputs.text("accept-rewind"),
    retry: inputs.flag("retry", false),
    waitSeconds: readSeconds(inputs, "wait", { fallback: 1800, least: 0 }),
  }),
  run: runApplyJob,
});
