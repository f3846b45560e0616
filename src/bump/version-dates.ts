/** When versions of a repository were made, as its publisher dates them. */
import type { Mirror } from "../appliance/mirror.ts";
import { versionOfTag } from "../appliance/versions.ts";

const FORMAT = "%(refname:lstrip=2) %(taggerdate:unix) %(committerdate:unix) %(*committerdate:unix)";

/**
 * Version to milliseconds since 1970: the later of the commit's date and the tag's own, so that an old commit that is
 * tagged today with a tag object counts from today. Both are the publisher's word: they tell how old a version claims to be.
 */
export async function versionDates(mirror: Mirror): Promise<ReadonlyMap<number, number>> {
  const listed = await mirror.git.run({
    args: ["for-each-ref", `--format=${FORMAT}`, "refs/tags/v*"],
  });
  const dates = new Map<number, number>();
  for (const line of listed.split("\n")) {
    const [tag = "", ...seconds] = line.split(" ");
    const version = versionOfTag(tag);
    const known = seconds.filter((text) => /^\d+$/.test(text)).map((text) => Number(text) * 1000);
    if (version !== undefined && known.length > 0) dates.set(version, Math.max(...known));
  }
  return dates;
}
