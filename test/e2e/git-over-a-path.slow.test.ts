/** After a tag over HTTP the next one, pushed over a path, reaches the running service as well. */
import t from "tap";
import { runOffice, rollOutTag } from "./chain-steps.ts";
import { createChain, createSite, publishChain } from "./chain.ts";
import { missingForEndToEnd } from "./requirements.ts";

const missing = missingForEndToEnd();

const options = { skip: missing ?? false, timeout: 5_400_000 };

await t.test("a tag pushed over a path reaches the running service", options, async (t) => {
  const chain = await createChain();
  t.teardown(() => chain.close());
  await publishChain(chain);
  await createSite(chain);
  await runOffice(t, chain);
  await rollOutTag(t, chain, { version: "2", over: "HTTP" });
  await rollOutTag(t, chain, { version: "3", over: "a path" });
});
