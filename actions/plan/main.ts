import { runPlanJob } from "../../src/forge/jobs/plan-job.ts";
import { runAction } from "../run-action.ts";
import { readSeconds } from "../seconds.ts";

await runAction({
  read: (inputs) => ({
    site: inputs.folder("site"),
    outputDirectory: inputs.text("output-directory") ?? "collective-plan",
    artifactName: inputs.text("artifact-name") ?? "collective-plan",
    isCommenting: inputs.flag("comment", true),
    importToken: inputs.text("import-token"),
    pushRef: inputs.flag("push-ref", false),
    refusePaths: inputs.flag("refuse-paths", true),
    timeoutSeconds: readSeconds(inputs, "timeout-seconds", { fallback: 300 }),
  }),
  run: runPlanJob,
});
