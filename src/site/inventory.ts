/**
 * `utility.yaml`: the hosts, VLANs, addresses and networks of a site, and its policy. Written by people and by
 * `cui host|vlan|address`; checked here, at the edge.
 *
 * ```yaml
 * format: 1
 * hosts:
 *   - { name: h1, address: "ssh://root@h1.example.org", memory: 16GiB, maxMachines: 20, arch: x86_64 }
 * vlans: [100-199, 300]
 * external: { vlan: 1000, subnet: 198.51.100.0/24, gateway: 198.51.100.1 }
 * addresses: [198.51.100.10-198.51.100.99]
 * networks:
 *   - { id: office-3f2a, file: acme.cvl }
 * ```
 */
import * as z from "zod";
import { MAX_SOCKET_PATH_BYTES } from "../host/host-address.ts";
import { ACTION_CLASSES, type ActionClass } from "../plan/action-kinds.ts";
import { parseAddress, parseAddressRange, parseSubnet, isHostAddress, contains } from "../network/ipv4.ts";

export const INVENTORY_FORMAT = 1;

/** What a host offers; memory and architecture are asked of the host when they are not written down. */
export interface InventoryHost {
  readonly name: string;
  /** `unix:/run/collective/host.sock` or `ssh://[user@]host[:port]`. */
  readonly address: string;
  readonly memoryBytes: number | undefined;
  readonly maxMachines: number;
  readonly arch: string | undefined;
}

/** The segment outside: untagged when `tag` is null. */
export interface ExternalSegment {
  readonly tag: number | null;
  readonly subnet: string;
  readonly gateway: string;
}

export interface AddressRange {
  readonly first: number;
  readonly last: number;
}

/** A network the site runs; its id stays when file or object are renamed. */
export interface InventoryNetwork {
  readonly id: string;
  /** Root file, relative to the folder of utility.yaml. */
  readonly file: string;
  readonly object: string | undefined;
}

export interface BlacklistEntry {
  /** Repository URL; a prefix when it ends with `*`. */
  readonly url: string;
  /** Undefined: every version. */
  readonly versions: readonly VersionRange[] | undefined;
  readonly reason: string | undefined;
}

export interface VersionRange {
  readonly first: number;
  readonly last: number;
}

export interface Inventory {
  /** The site's own id, 12 hex digits, made once; undefined in a file that no command has edited yet. */
  readonly site: string | undefined;
  readonly hosts: readonly InventoryHost[];
  /** Tags networks may get, ascending, each once. */
  readonly vlans: readonly number[];
  readonly external: ExternalSegment | undefined;
  readonly addresses: readonly AddressRange[];
  /** Block the networks' subnets are taken from; `10.0.0.0/8` unless set. */
  readonly subnets: string;
  readonly networks: readonly InventoryNetwork[];
  readonly blacklist: readonly BlacklistEntry[];
  /** URL prefixes imports may come from; undefined allows all. */
  readonly allow: readonly string[] | undefined;
  readonly approval: ApprovalPolicy;
  readonly rollout: RolloutPolicy;
}

/** Who must approve a plan before it is carried out. */
export interface ApprovalPolicy {
  /** Persons a plan of a class needs, the author counted; a class that is not named needs as many as the next milder one that is. */
  readonly persons: Readonly<Partial<Record<ActionClass, number>>>;
  /** Lines of an SSH allowed-signers file: whose signatures count as a person where there is no forge. */
  readonly signers: readonly string[];
  /** Bump pull requests whose preview is at most of this class are merged by themselves; undefined: none is. */
  readonly automerge: ActionClass | undefined;
}

/** What a runner, or the site's own repository after a push, carries out. */
export interface RolloutPolicy {
  /** The protected branch, `main` unless set. */
  readonly branch: string;
  /** `merge`: the post-receive hook starts a rollout whenever the branch moved. */
  readonly on: "merge" | "never";
  /** Start networks that do not run yet; false: only what runs is updated. Default true. */
  readonly startsNew: boolean;
}

const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const MAX_LIST = 10_000;
const MAX_TEXT = 1000;
const MAX_MACHINES = 64;

const text = z.string().min(1).max(MAX_TEXT);

const vlanRange = z
  .union([z.int(), z.string().max(20)])
  .transform((value) => parseVlanRange(String(value)))
  .refine((range) => range !== undefined, "expected a VLAN tag from 1 to 4094, or a range like 100-199");

/** A version, or a range like `1-3`. */
export const versionRange = z
  .union([z.int(), z.string().max(40)])
  .transform((value) => parseVersionRange(String(value)))
  .refine((range) => range !== undefined, "expected a version, or a range like 1-3");

const memory = z
  .union([z.int(), z.string().max(30)])
  .transform((value) => parseMemory(String(value)))
  .refine(
    (bytes) => bytes !== undefined,
    "expected a memory size like 16GiB or 512MiB (a bare number is MiB)",
  );

const host = z.strictObject({
  name: z.string().regex(NAME, "expected lowercase letters, digits and `-`"),
  address: z
    .string()
    .max(MAX_TEXT)
    .refine(
      isHostAddressText,
      `expected unix:/path (at most ${MAX_SOCKET_PATH_BYTES} bytes) or ssh://[user@]host[:port]`,
    ),
  memory: memory.optional(),
  maxMachines: z.int().min(0).max(10_000).default(MAX_MACHINES),
  arch: z
    .string()
    .regex(/^[a-z0-9_]{1,20}$/, "expected an architecture like x86_64")
    .optional(),
});

const externalSegment = z
  .strictObject({
    vlan: z.union([z.int().min(1).max(4094), z.literal("untagged")]),
    subnet: z
      .string()
      .refine((value) => parseSubnet(value) !== undefined, "expected a subnet like 198.51.100.0/24"),
    gateway: z.string().refine((value) => parseAddress(value) !== undefined, "expected an IPv4 address"),
  })
  .refine(gatewayLiesInSubnet, { error: "expected an address inside the subnet", path: ["gateway"] });

const network = z.strictObject({
  id: z.string().regex(/^[a-z0-9-]{1,36}$/, "expected 1 to 36 of a-z, 0-9 and `-`"),
  file: text.refine(isInside, "expected a path below the folder of utility.yaml"),
  object: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9_]*$/)
    .optional(),
});

const actionClass = z.enum(ACTION_CLASSES);

const approval = z.strictObject({
  persons: z.partialRecord(actionClass, z.int().min(0).max(10)).optional(),
  signers: z.array(text).max(MAX_LIST).optional(),
  automerge: actionClass.optional(),
});

const rollout = z.strictObject({
  branch: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,200}$/, "expected the name of a branch")
    .default("main"),
  on: z.enum(["merge", "never"]).default("never"),
  start: z.boolean().default(true),
});

/** Security settings that the format knows and nothing here enforces yet, each with what can be done in its place. */
export const UNSUPPORTED_KEYS = {
  trust:
    "take the key out; imports.allow and blacklist limit which versions are taken, cvl.lock holds their commits",
  secrets: "take the key out; after a restart of a host `cui start` sends sensitive values again",
} as const;

/** The shape of utility.yaml. */
export const inventorySchema = z
  .strictObject({
    format: z.literal(INVENTORY_FORMAT, `expected format ${INVENTORY_FORMAT}, the only one understood`),
    site: z
      .string()
      .regex(/^[0-9a-f]{12}$/, "expected the 12 hex digits that cui made")
      .optional(),
    hosts: z.array(host).max(MAX_LIST).nullish(),
    vlans: z.array(vlanRange).max(MAX_LIST).nullish(),
    external: externalSegment.nullish(),
    addresses: z
      .array(
        z
          .string()
          .max(40)
          .transform((value) => parseAddressRange(value))
          .refine(
            (range) => range !== undefined,
            "expected an address, or a range like 198.51.100.10-198.51.100.99",
          ),
      )
      .max(MAX_LIST)
      .nullish(),
    subnets: z
      .string()
      .refine(
        (value) => (parseSubnet(value)?.prefix ?? 33) <= 12,
        "expected a block of /12 or larger like 10.0.0.0/8",
      )
      .optional(),
    networks: z.array(network).max(MAX_LIST).nullish(),
    blacklist: z
      .array(
        z.strictObject({
          url: text,
          versions: z.union([versionRange, z.array(versionRange).max(MAX_LIST)]).optional(),
          reason: text.optional(),
        }),
      )
      .max(MAX_LIST)
      .nullish(),
    imports: z.strictObject({ allow: z.array(text).max(MAX_LIST).nullish() }).nullish(),
    approval: approval.nullish(),
    rollout: rollout.nullish(),
    // Refused under a code of their own; without a value they ask for nothing.
    trust: z.unknown().optional(),
    secrets: z.unknown().optional(),
  })
  .superRefine((value, context) => {
    reportDuplicates(value.hosts ?? [], { list: "hosts", key: "name", context });
    reportDuplicates(value.networks ?? [], { list: "networks", key: "id", context });
  });

/** What holds where there is no utility.yaml: nothing to run on, no policy. */
export const EMPTY_INVENTORY: Inventory = toInventory({ format: INVENTORY_FORMAT });

/** From the checked file to what the rest of the layer reads. */
export function toInventory(value: z.infer<typeof inventorySchema>): Inventory {
  const external = value.external ?? undefined;
  return {
    site: value.site,
    hosts: (value.hosts ?? []).map((entry) => ({
      name: entry.name,
      address: entry.address,
      memoryBytes: entry.memory,
      maxMachines: entry.maxMachines,
      arch: entry.arch,
    })),
    vlans: expandVlans(value.vlans ?? []),
    external: external && {
      tag: external.vlan === "untagged" ? null : external.vlan,
      subnet: external.subnet,
      gateway: external.gateway,
    },
    addresses: value.addresses ?? [],
    subnets: value.subnets ?? "10.0.0.0/8",
    networks: (value.networks ?? []).map((entry) => ({
      id: entry.id,
      file: entry.file,
      object: entry.object,
    })),
    blacklist: (value.blacklist ?? []).map((entry) => ({
      url: entry.url,
      versions: entry.versions === undefined ? undefined : [entry.versions].flat(),
      reason: entry.reason,
    })),
    allow: value.imports?.allow ?? undefined,
    approval: {
      persons: value.approval?.persons ?? {},
      signers: value.approval?.signers ?? [],
      automerge: value.approval?.automerge,
    },
    rollout: {
      branch: value.rollout?.branch ?? "main",
      on: value.rollout?.on ?? "never",
      startsNew: value.rollout?.start ?? true,
    },
  };
}

/** `100`, `100-199`; undefined when it is none. */
export function parseVlanRange(value: string): { readonly first: number; readonly last: number } | undefined {
  const range = parseVersionRange(value);
  return range === undefined || range.last > 4094 ? undefined : range;
}

/** Bytes of `16GiB`, `512MiB`, `1.5 GiB`, `4G`; a bare number is MiB. Undefined when it is none. */
export function parseMemory(value: string): number | undefined {
  const match = /^([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*(?:([KMGT])(?:iB|B)?)?$/.exec(value.trim());
  if (match === null) return undefined;
  const power = { K: 1, M: 2, G: 3, T: 4 }[match[2] ?? "M"] ?? 2;
  const bytes = Math.round(Number(match[1]) * 1024 ** power);
  return bytes > 0 && Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The schemes `connectHost` understands. */
export function isHostAddressText(value: string): boolean {
  return (
    (/^unix:\/[^\0\n]+$/.test(value) && Buffer.byteLength(value) - "unix:".length <= MAX_SOCKET_PATH_BYTES) ||
    /^ssh:\/\/([A-Za-z0-9_][A-Za-z0-9_.-]*@)?(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?\/?$/.test(
      value,
    )
  );
}

function parseVersionRange(value: string): VersionRange | undefined {
  const match = /^([1-9][0-9]{0,8})(?:\s*-\s*([1-9][0-9]{0,8}))?$/.exec(value.trim());
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return last < first ? undefined : { first, last };
}

function expandVlans(ranges: readonly VersionRange[]): number[] {
  const tags = new Set<number>();
  for (const { first, last } of ranges) for (let tag = first; tag <= last; tag++) tags.add(tag);
  return [...tags].sort((a, b) => a - b);
}

function gatewayLiesInSubnet(value: { subnet: string; gateway: string }): boolean {
  const subnet = parseSubnet(value.subnet);
  const gateway = parseAddress(value.gateway);
  return (
    subnet === undefined ||
    gateway === undefined ||
    (contains(subnet, gateway) && isHostAddress(subnet, gateway))
  );
}

function isInside(file: string): boolean {
  return !file.startsWith("/") && !file.split("/").includes("..") && !file.includes("\0");
}

function reportDuplicates<Key extends string>(
  entries: readonly Readonly<Record<Key, string>>[],
  options: { list: string; key: Key; context: z.core.$RefinementCtx },
): void {
  const seen = new Set<string>();
  entries.forEach((entry, index) => {
    const value = entry[options.key];
    if (seen.has(value)) {
      options.context.addIssue({
        code: "custom",
        message: `${JSON.stringify(value)} is there twice`,
        path: [options.list, index, options.key],
      });
    }
    seen.add(value);
  });
}
