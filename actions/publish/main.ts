import { createForge } from "../../src/forge/client.ts";
import { gitCredentialVariables, ownRepositoryUrl } from "../../src/forge/git-credentials.ts";
import { runPublishJob } from "../../src/forge/jobs/publish-job.ts";
import { parseRepositoryName } from "../../src/forge/repository-name.ts";
import { runAction } from "../run-action.ts";

await runAction({
  read: (inputs) => ({
    tag: inputs.choice("tag", ["pushed", "next"], "pushed"),
    dependents: inputs.list("dependents").map(parseRepositoryName),
    dispatchToken: inputs.text("dispatch-token"),
  }),
  run: ({ tag, dependents, dispatchToken }, job) => {
    const repository = parseRepositoryName(job.env["GITHUB_REPOSITORY"] ?? "");
    const url = ownRepositoryUrl(job.env);
    const token = job.env["GITHUB_TOKEN"];
    // git and git-lfs reach the job's own repository, and nothing else, with the job's token.
    const credentials = token === undefined ? [] : [{ urlPrefix: url, token }];
    const git = job.git.with(gitCredentialVariables(credentials, job.env));
    const apiUrl = job.env["GITHUB_API_URL"];
    const dispatch =
      dispatchToken === undefined ? undefined : () => createForge({ token: dispatchToken, apiUrl });
    return runPublishJob({ tag, repository, url, dependents, dispatch }, { ...job, git });
  },
});
