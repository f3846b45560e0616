/** Branches of bumps: one a group. */

export const BUMP_PREFIX = "collective/bump/";

/** The branch of a group: letters, digits, `_` and `-` of its name; anything else becomes `-`. */
export function bumpBranch(group: string): string {
  const slug = group
    .replaceAll(/[^A-Za-z0-9_-]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 100);
  return `${BUMP_PREFIX}${slug === "" ? "all" : slug}`;
}
