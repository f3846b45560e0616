/**
 * Git LFS pointer files.
 *
 *     version https://git-lfs.github.com/spec/v1
 *     oid sha256:4665a5ea423c2713d436b5ee50593a9640e0018c1550b5a0002f74190d6caea8
 *     size 12345
 *
 * @see git-lfs docs/spec.md, "The Pointer"
 */
import type { Oid } from "../disk/object-store.ts";

export interface LfsPointer {
  readonly oid: Oid;
  readonly sizeBytes: number;
}

/** A pointer is never larger. */
export const MAX_POINTER_BYTES = 1024;

/** Undefined when `content` is no pointer (the file itself, say). */
export function parseLfsPointer(content: Uint8Array): LfsPointer | undefined {
  if (content.length > MAX_POINTER_BYTES) return undefined;
  const text = Buffer.from(content).toString("latin1");
  const match =
    /^version https:\/\/git-lfs\.github\.com\/spec\/v1\n(?:ext-[^\n]*\n)*oid sha256:([0-9a-f]{64})\nsize (\d{1,15})\n?$/.exec(
      text,
    );
  if (match === null) return undefined;
  return { oid: match[1] as Oid, sizeBytes: Number(match[2]) };
}

/** The pointer file of an object, as git-lfs writes it. */
export function formatLfsPointer({ oid, sizeBytes }: LfsPointer): string {
  return `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${sizeBytes}\n`;
}
