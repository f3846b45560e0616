/**
 * A host manager that opens an export of a machine that runs, reads a piece, says `open` and waits to be killed:
 * `node hold-export.js <options as JSON> <network id> <component> <device>`.
 */
import type { HostManagerOptions } from "../../../src/host/host-context.ts";
import { createHostManager } from "../../../src/host/host-manager.ts";

const [json = "", networkId = "", component = "", device = ""] = process.argv.slice(2);
const options = JSON.parse(json) as Omit<HostManagerOptions, "fetchImage">;
const host = await createHostManager({ ...options, fetchImage: () => Promise.reject(new Error("none")) });
const opened = await host.openExport(null, { machine: { networkId, component }, device });
await host.readExport(opened.exportId, 0);
console.log("open");
setInterval(() => undefined, 1000);
