import path from "node:path";
import { runCommentJob } from "../../src/forge/jobs/comment-job.ts";
import { runAction } from "../run-action.ts";

await runAction({
  read: (inputs) => ({
    directory: path.resolve(
      process.env["GITHUB_WORKSPACE"] ?? "",
      inputs.text("directory") ?? "collective-plan",
    ),
    artifactName: inputs.text("artifact-name") ?? "collective-plan",
    site: inputs.text("site") ?? ".",
  }),
  run: runCommentJob,
});
