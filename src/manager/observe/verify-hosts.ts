/** `cui host verify`: every host reads its images, and repairs those that are damaged. */
import type { ImageFileReport } from "../../host/host.ts";
import { CollectiveError, messageOf, type ErrorCode } from "../../errors.ts";
import type { InventoryHost } from "../../site/inventory.ts";
import type { ConnectHost } from "./observe-hosts.ts";

export interface HostVerification {
  readonly host: string;
  readonly files: readonly ImageFileReport[];
  /** Why it was not looked at, or not to the end. */
  readonly problem: string | null;
  readonly code: ErrorCode | null;
}

/**
 * The hosts one beside the other; `name` chooses one.
 * @throws CollectiveError UTILITY_HOST_UNKNOWN
 */
export async function verifyHosts(
  hosts: readonly InventoryHost[],
  connect: ConnectHost,
  name?: string,
): Promise<readonly HostVerification[]> {
  const chosen = hosts.filter((host) => name === undefined || host.name === name);
  if (name !== undefined && chosen.length === 0) {
    throw new CollectiveError("UTILITY_HOST_UNKNOWN", `utility.yaml has no host ${name}`, {
      hint: `it has ${hosts.map((host) => host.name).join(", ") || "none"}`,
    });
  }
  return Promise.all(chosen.map((host) => verifyHost(host, connect)));
}

async function verifyHost({ name, address }: InventoryHost, connect: ConnectHost): Promise<HostVerification> {
  try {
    const connection = await connect(address);
    try {
      return { host: name, files: await connection.verifyImages(), problem: null, code: null };
    } finally {
      await connection.close();
    }
  } catch (error) {
    const code = error instanceof CollectiveError ? error.code : "UTILITY_HOST_UNREACHABLE";
    return { host: name, files: [], problem: messageOf(error), code };
  }
}
