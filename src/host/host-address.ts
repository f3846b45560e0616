/** Where a host manager is: `unix:/run/collective/host.sock` or `ssh://[user@]host[:port]`. */
import { CollectiveError } from "../errors.ts";

export type HostAddress =
  | { readonly kind: "unix"; readonly path: string }
  | {
      readonly kind: "ssh";
      readonly user: string | undefined;
      /** A name, an IPv4 address, or an IPv6 address without brackets. */
      readonly host: string;
      readonly port: number | undefined;
    };

const SSH_ADDRESS =
  /^ssh:\/\/(?:(?<user>[A-Za-z0-9_][A-Za-z0-9_.-]*)@)?(?:\[(?<ipv6>[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?)\]|(?<name>[A-Za-z0-9][A-Za-z0-9_.-]*))(?::(?<port>\d{1,5}))?\/?$/;

/** The system takes 108 bytes, the last of them NUL. @see unix(7) */
export const MAX_SOCKET_PATH_BYTES = 107;

/** @throws CollectiveError HOST_ADDRESS_INVALID */
export function requireSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes <= MAX_SOCKET_PATH_BYTES) return;
  throw new CollectiveError(
    "HOST_ADDRESS_INVALID",
    `the path of the unix socket ${path} has ${bytes} bytes, at most ${MAX_SOCKET_PATH_BYTES} are possible`,
    { data: { path, bytes }, hint: "use a shorter path, or a symbolic link that leads there" },
  );
}

/** Nothing in it can be taken for an option by ssh. @throws CollectiveError HOST_ADDRESS_INVALID */
export function parseHostAddress(address: string): HostAddress {
  const unix = /^unix:(\/.+)$/.exec(address)?.[1];
  if (unix !== undefined) {
    requireSocketPath(unix);
    return { kind: "unix", path: unix };
  }
  const groups = SSH_ADDRESS.exec(address)?.groups;
  const host = groups?.["ipv6"] ?? groups?.["name"];
  const port = groups?.["port"] === undefined ? undefined : Number(groups["port"]);
  if (host === undefined || (port !== undefined && (port < 1 || port > 65_535))) {
    throw new CollectiveError("HOST_ADDRESS_INVALID", `not the address of a host: ${address}`, {
      data: { address },
      hint: "it has the form ssh://root@host.example.org, or unix:/run/collective/host.sock on the same machine",
    });
  }
  return { kind: "ssh", user: groups?.["user"], host, port };
}
