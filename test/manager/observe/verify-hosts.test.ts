/** `cui host verify`: what each host found, and why another could not be asked. */
import t from "tap";
import { CollectiveError } from "../../../src/errors.ts";
import type { ImageFileReport } from "../../../src/host/host.ts";
import { verifyHosts } from "../../../src/manager/observe/verify-hosts.ts";
import { createMemoryHost } from "../memory-host.ts";

t.test("every host is asked; one that does not answer is said", async (t) => {
  const files: readonly ImageFileReport[] = [{ file: "/images/a.raw", state: "repaired", problem: "cut" }];
  let open = 0;
  const connect = (address: string) => {
    if (address === "unix:/gone") return Promise.reject(new CollectiveError("HOST_UNREACHABLE", "gone"));
    open += 1;
    return Promise.resolve({
      ...createMemoryHost({ name: address }),
      verifyImages: () => Promise.resolve(files),
      close: () => {
        open -= 1;
        return Promise.resolve();
      },
    });
  };
  const hosts = [
    { name: "h1", address: "unix:/h1", maxMachines: 1, memoryBytes: undefined, arch: undefined },
    { name: "h2", address: "unix:/gone", maxMachines: 1, memoryBytes: undefined, arch: undefined },
  ];
  t.same(await verifyHosts(hosts, connect), [
    { host: "h1", files, problem: null, code: null },
    { host: "h2", files: [], problem: "gone", code: "HOST_UNREACHABLE" },
  ]);
  t.same(await verifyHosts(hosts, connect, "h1"), [{ host: "h1", files, problem: null, code: null }]);
  await t.rejects(verifyHosts(hosts, connect, "h3"), { code: "UTILITY_HOST_UNKNOWN" });
  t.equal(open, 0, "connections are closed");
});
