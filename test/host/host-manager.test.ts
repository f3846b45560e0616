import t from "tap";
import { createHostManager } from "../../src/host/host-manager.ts";
import { testHostContract } from "./fixtures/host-contract.ts";
import { hostLab } from "./fixtures/host-lab.ts";

const { guest, options } = await hostLab(t);

t.test("the host manager keeps the contract", async (t) => {
  const host = await createHostManager(options("a"));
  t.teardown(() => host.close());
  await testHostContract(t, { host, guest, networkId: "direct" });
});
