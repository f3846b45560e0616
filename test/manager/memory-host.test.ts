import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "tap";
import { connectHost } from "../../src/host/connect-host.ts";
import { findParameter } from "../../src/host/parameter-lines.ts";
import { serveHost } from "../../src/host/serve-host.ts";
import { testHostContract } from "../host/fixtures/host-contract.ts";
import { MIB, sampleImage } from "./describe-fixtures.ts";
import { createMemoryHost } from "./memory-host.ts";

test("the host in memory keeps the contract of a host", async (t) => {
  const memory = createMemoryHost({
    name: "h1",
    guests: {
      "g.w": {
        bootMs: 120,
        say: (event, { parameterLines, dataDisks }, starts) =>
          event === "reloaded"
            ? `probe ${findParameter(parameterLines, "probe") ?? ""}`
            : `disks vda:1:1048576 ${dataDisks.map(({ device, sizeBytes }) => `${device}:${starts.get(device) ?? 0}:${sizeBytes}`).join(" ")} `,
      },
    },
  });
  const folder = mkdtempSync(path.join(tmpdir(), "cui-memory-host-"));
  const socket = path.join(folder, "host.sock");
  const server = createServer((stream) => {
    serveHost(memory, { input: stream, output: stream });
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const host = await connectHost(`unix:${socket}`);
  t.teardown(async () => {
    await host.close();
    server.close();
    rmSync(folder, { recursive: true });
  });
  const image = sampleImage({ memoryMiB: 96 });
  const disks = image.programDisks.map((disk) => ({ ...disk, sizeBytes: MIB }));
  await testHostContract(t, {
    host,
    networkId: "contract",
    guest: {
      fetchImage: () => Promise.reject(new Error("nothing is fetched here")),
      image: () => ({ ...image, programDisks: disks }),
    },
  });
});
