/** Reading a mirror that is made anew when something in it turns out to be damaged: once, and reading goes on. */
import { CollectiveError, messageOf } from "../errors.ts";
import { stderrOf } from "../io.ts";
import { damageIn, isDamage } from "../git/damage.ts";
import type { Git } from "../git/git.ts";
import type { RepositoryUrl } from "../git/url.ts";
import { fetchInto, type FetchTimeout } from "./fetch-mirror.ts";
import { openMirrorReader, type MirrorReader } from "./mirror-reader.ts";
import { mirrorId, remakeMirror } from "./remake-mirror.ts";

export interface MendedMirror {
  /** What is not damaged is read as long as it can be. @throws CollectiveError REPOSITORY_DAMAGED, and as `work` */
  read<Result>(work: (reader: MirrorReader) => Promise<Result>): Promise<Result>;
  /** Somebody may have made the mirror anew: from now on that one is read. */
  refresh(): Promise<void>;
  close(): Promise<void>;
}

export async function openMended(
  git: Git,
  remote: RepositoryUrl,
  fetchTimeoutMs: FetchTimeout,
): Promise<MendedMirror> {
  let seen = await mirrorId(git.folder);
  let reader = openMirrorReader(git, remote.url);
  const replaced: Promise<void>[] = [];
  let mending: Promise<void> | undefined;
  const refresh = async (): Promise<void> => {
    const now = await mirrorId(git.folder);
    if (now === seen) return;
    seen = now;
    // Requests under way are still answered.
    replaced.push(reader.objects.close());
    reader = openMirrorReader(git, remote.url);
  };
  const mend = async (error: unknown): Promise<void> => {
    const fetch = (into: Git): Promise<void> => fetchInto(into, remote, fetchTimeoutMs?.());
    await remakeMirror({ git, problem: problemOf(error), format: undefined, seen, fetch });
    await refresh();
  };
  return {
    read: async (work) => {
      const before = reader;
      try {
        return await work(before);
      } catch (error) {
        if (reader === before) {
          if (!isDamage(error)) throw error;
          await (mending ??= mend(error));
          if (reader === before) throw error;
        }
        return work(reader);
      }
    },
    refresh,
    close: async () => {
      await Promise.all([reader.objects.close(), ...replaced]);
    },
  };
}

function problemOf(error: unknown): string {
  const said = error instanceof CollectiveError ? error.data["said"] : undefined;
  return typeof said === "string" ? said : (damageIn(stderrOf(error)) ?? messageOf(error));
}
