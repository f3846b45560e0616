/** Answers one connection's requests with a host manager. */
import type { Readable, Writable } from "node:stream";
import { CollectiveError } from "../errors.ts";
import type { OpenedExport } from "./data/data-calls.ts";
import type { Host } from "./host.ts";
import { agreeOnProtocol, createConnection, HELLO, helloSchema, toResponseError } from "./protocol.ts";
import { callHost, hostCallSchemas, type HostCall } from "./schema.ts";

/** Until the connection ends; the host manager itself stays open. */
export function serveHost(host: Host, stream: { readonly input: Readable; readonly output: Writable }): void {
  const connection = createConnection(stream);
  const exports = exportsOf(host);
  let greeted = false;
  connection.onRequest(HELLO, (...values: unknown[]) =>
    answer(() => {
      const parsed = helloSchema.safeParse(withoutToken(values));
      if (!parsed.success)
        throw new CollectiveError("HOST_REQUEST_INVALID", "hello lists the protocol versions");
      const protocol = agreeOnProtocol(parsed.data[0].protocols);
      greeted = true;
      return Promise.resolve({ protocol });
    }),
  );
  for (const call of Object.keys(hostCallSchemas) as HostCall[]) {
    connection.onRequest(call, (...values: unknown[]) =>
      answer(() => {
        if (!greeted) throw new CollectiveError("HOST_REQUEST_INVALID", "the first request must be hello");
        const result = callHost(host, call, withoutToken(values));
        return call === "openExport" ? exports.keep(result) : result;
      }),
    );
  }
  connection.onError(() => {
    connection.dispose(); // not JSON-RPC: whoever it is, he is not listened to any longer
    stream.output.destroy();
  });
  connection.onClose(() => {
    connection.dispose();
    exports.close();
  });
  connection.listen();
}

/** Exports end with the connection they were opened on, also one that was still being opened. */
function exportsOf(host: Host): {
  keep: (opening: Promise<unknown>) => Promise<unknown>;
  close: () => void;
} {
  const opened = new Set<string>();
  let isClosed = false;
  const close = (exportId: string): void => {
    void host.closeExport(exportId).catch(() => undefined);
  };
  return {
    keep: async (opening) => {
      const { exportId } = (await opening) as OpenedExport;
      opened.add(exportId);
      if (isClosed) close(exportId);
      return opening;
    },
    close: () => {
      isClosed = true;
      for (const exportId of opened) close(exportId);
    },
  };
}

async function answer(task: () => Promise<unknown>): Promise<unknown> {
  try {
    return (await task()) ?? null;
  } catch (error) {
    throw toResponseError(error);
  }
}

/** vscode-jsonrpc appends a cancellation token to the arguments. */
function withoutToken(values: readonly unknown[]): readonly unknown[] {
  return values.slice(0, -1);
}
