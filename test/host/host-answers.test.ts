/** What a host answers is believed only when it is what the contract says. */
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import t from "tap";
import { connectHost } from "../../src/host/connect-host.ts";
import { HOST_PROTOCOL } from "../../src/host/host.ts";
import { createConnection, HELLO } from "../../src/host/protocol.ts";

t.test("a host that answers something else than the contract says", async (t) => {
  // The path of a socket has at most 107 bytes.
  const folder = mkdtempSync(path.join(tmpdir(), "odd-"));
  const socket = path.join(folder, "odd.sock");
  const server = net.createServer((client) => {
    const connection = createConnection({ input: client, output: client });
    connection.onRequest(HELLO, () => ({ protocol: HOST_PROTOCOL }));
    connection.onRequest("awaitReady", () => ({ state: "excellent", status: "", bootMs: 1 }));
    connection.onRequest("consolePath", () => ({ path: "/run/console" }));
    connection.onRequest("stopMachine", () => ({ forced: false, addedLater: 1 }));
    connection.listen();
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const host = await connectHost(`unix:${socket}`);
  t.teardown(async () => {
    await host.close();
    server.close();
    rmSync(folder, { recursive: true });
  });
  const id = { networkId: "net", component: "w" };
  await t.rejects(host.awaitReady(id, 1000), { code: "HOST_ANSWER_INVALID", message: /awaitReady .*state/ });
  await t.rejects(host.consolePath(id), { code: "HOST_ANSWER_INVALID" });
  const fence = { networkId: "net", token: 1 };
  t.same(await host.stopMachine(fence, id, 1000), { forced: false }, "a newer release may say more");
  await t.rejects(
    host.listAttic(),
    { code: "HOST_CALL_UNKNOWN", hint: /upgrade cui on that host/ },
    "an older release may know less",
  );
  await host.close();
  await t.rejects(host.describe(), { code: "HOST_UNREACHABLE" }, "what is asked after the end is told so");
});
