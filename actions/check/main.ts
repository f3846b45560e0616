import { runCheckJob } from "../../src/forge/jobs/check-job.ts";
import { runAction } from "../run-action.ts";
import { readSeconds } from "../seconds.ts";

await runAction({
  read: (inputs) => ({
    format: inputs.choice("format", ["warning", "error", "off"], "warning"),
    importToken: inputs.text("import-token"),
    refusePaths: inputs.flag("refuse-paths", true),
    timeoutSeconds: readSeconds(inputs, "timeout-seconds", { fallback: 300 }),
  }),
  run: runCheckJob,
});
