/**
 * From a pushed tag to a running service, on real parts, with nobody typing `cui`: stock git and git-lfs over HTTP; `cui` runs in
 * hooks and jobs alone. Sub-tests build on each other.
 */
import t from "tap";
import { runOffice, rollOutTag } from "./chain-steps.ts";
import { createChain, createSite, publishChain } from "./chain.ts";
import { missingForEndToEnd } from "./requirements.ts";

const missing = missingForEndToEnd();

await t.test("git is the interface", { skip: missing ?? false, timeout: 5_400_000 }, async (t) => {
  const chain = await createChain();
  t.teardown(() => chain.close());
  await publishChain(chain);
  await createSite(chain);
  await t.test("the first push of a site rolls nothing out, the merge that describes a network does", (t) =>
    runOffice(t, chain),
  );
  if (!t.passing()) return;
  await t.test("a tag pushed over HTTP reaches the running service", (t) =>
    rollOutTag(t, chain, { version: "2", over: "HTTP" }),
  );
  await t.test("a version that moves, a gap and a forged history are refused by the server", async (t) => {
    const { git, tryGit, office } = chain;
    const web = office.at("web-2");
    await git(web, "tag", "-f", "v2", "HEAD~1");
    const moved = await tryGit(web, "push", "--no-verify", "--force", "origin", "refs/tags/v2");
    t.not(moved.code, 0);
    t.match(moved.stderr, /v2/);
    await git(web, "tag", "v9", "HEAD~1");
    const gap = await tryGit(web, "push", "--no-verify", "origin", "refs/tags/v9");
    t.not(gap.code, 0);
    t.match(gap.stderr, /remote: .*v9/);
  });
});
