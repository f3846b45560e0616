import { gitCredentialVariables, ownRepositoryUrl } from "../../src/forge/git-credentials.ts";
import { runBumpJob } from "../../src/forge/jobs/bump-job.ts";
import { parseRepositoryName } from "../../src/forge/repository-name.ts";
import { runAction } from "../run-action.ts";

await runAction({
  read: (inputs) => ({
    directory: inputs.folder("directory"),
    branch: inputs.text("branch"),
    importToken: inputs.text("import-token"),
  }),
  run: ({ directory, branch, importToken }, job) => {
    const repository = parseRepositoryName(job.env["GITHUB_REPOSITORY"] ?? "");
    const server = (job.env["GITHUB_SERVER_URL"] ?? "https://github.com").replace(/\/$/, "");
    const token = job.env["GITHUB_TOKEN"];
    // git reaches the job's own repository with the job's token, and everything else on the forge with the read-only one.
    const credentials = [
      ...(importToken === undefined ? [] : [{ urlPrefix: `${server}/`, token: importToken }]),
      ...(token === undefined ? [] : [{ urlPrefix: ownRepositoryUrl(job.env), token }]),
    ];
    const git = job.git.with(gitCredentialVariables(credentials, job.env));
    return runBumpJob({ repository, directory, branch }, { ...job, git });
  },
});
