/** Versions of an appliance: tags `v<integer>`, counted 1, 2, 3 …; and the list of those nobody should take any more. */
import * as z from "zod";
import type { Diagnostic } from "../diagnostics.ts";
import { parseYamlDocument } from "./yaml-document.ts";

export interface Version {
  readonly version: number;
  /** The commit the tag points at (peeled). */
  readonly commit: string;
}

/** The version a tag's name stands for; undefined for every other tag (`v01`, `v1.2`, `release`). */
export function versionOfTag(tag: string): number | undefined {
  return /^v[1-9][0-9]{0,8}$/.test(tag) ? Number(tag.slice(1)) : undefined;
}

/** The version a ref stands for; undefined for any other ref than such a tag. */
export function versionOfRef(ref: string): number | undefined {
  return ref.startsWith(TAGS) ? versionOfTag(ref.slice(TAGS.length)) : undefined;
}

const TAGS = "refs/tags/";

/** Numbers between 1 and the newest that have no tag: readers meet them with a warning. At most the first ten. */
export function versionGaps(versions: readonly Pick<Version, "version">[]): readonly number[] {
  const present = new Set(versions.map(({ version }) => version));
  const newest = Math.max(0, ...present);
  const gaps: number[] = [];
  for (let number = 1; number < newest && gaps.length < 10; number += 1) {
    if (!present.has(number)) gaps.push(number);
  }
  return gaps;
}

/** Version to reason. */
export type Withdrawn = ReadonlyMap<number, string>;

export const WITHDRAWN_FILE = "withdrawn.yaml";
export const MAX_WITHDRAWN_BYTES = 256 * 1024;

const withdrawnSchema = z.strictObject({
  format: z.literal(1),
  withdrawn: z
    .array(z.strictObject({ version: z.int().min(1).max(999_999_999), why: z.string().min(1).max(2000) }))
    .max(10_000),
});

/**
 * Parses `withdrawn.yaml`:
 *
 *     format: 1
 *     withdrawn:
 *       - version: 3
 *         why: the LDAP server answers anonymous binds
 */
export function parseWithdrawn(
  text: string,
  file: string,
): { readonly withdrawn: Withdrawn; readonly diagnostics: readonly Diagnostic[] } {
  const { value, diagnostics } = parseYamlDocument({
    text,
    file,
    schema: withdrawnSchema,
    code: "WITHDRAWN_INVALID",
  });
  const withdrawn = new Map(value?.withdrawn.map(({ version, why }) => [version, why]));
  return { withdrawn, diagnostics };
}

/** The newest version that is not withdrawn. */
export function newestVersion(versions: readonly Version[], withdrawn: Withdrawn): Version | undefined {
  return versions
    .filter(({ version }) => !withdrawn.has(version))
    .reduce<Version | undefined>(
      (newest, candidate) =>
        newest === undefined || candidate.version > newest.version ? candidate : newest,
      undefined,
    );
}
