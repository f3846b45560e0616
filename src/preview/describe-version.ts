/** The networks a version of an appliance describes, read from its mirror: one for each CVL file that names an object. */
import type { Diagnostic } from "../diagnostics.ts";
import { openCommitFolder, type CommitFolder } from "../git/commit-folder.ts";
import type { Mirrors } from "../appliance/mirrors.ts";
import { readCommittedRoot } from "../appliance/root-file.ts";
import { isLocal, isRefusedUrl, parseUrl } from "../git/url.ts";
import { describeNetwork, type DescribedNetwork } from "../site/describe-network.ts";

export interface VersionSource {
  /** The caller's mirrors; that of `url` has the commit. */
  readonly mirrors: Mirrors;
  /** Normalised. Relative imports start from it, and imports by path are refused unless it is one. */
  readonly url: string;
  readonly commit: string;
}

export interface DescribedFile {
  /** By its path in the repository, as spans of diagnostics name it. */
  readonly file: string;
  readonly described: DescribedNetwork;
}

/**
 * CVL files at the top, by name; one of several objects none of which is its own is left to those that import it.
 * @throws CollectiveError REPOSITORY_FILE_TOO_LARGE, and as describeNetwork.
 */
export async function describeVersion(source: VersionSource): Promise<readonly DescribedFile[]> {
  const mirror = await source.mirrors.get(source.url);
  const folder = await openCommitFolder({ git: mirror.git, rev: source.commit });
  try {
    const names = (await folder.listFolder()).flatMap(({ name, kind }) =>
      kind === "file" && name.endsWith(".cvl") ? [name] : [],
    );
    const files: DescribedFile[] = [];
    for (const file of names) files.push({ file, described: await describeFile(source, folder, file) });
    const roots = files.filter(({ described }) => !isLibrary(described));
    return roots.length > 0 ? roots : files;
  } finally {
    await folder.close();
  }
}

async function describeFile(
  { mirrors, url }: VersionSource,
  folder: CommitFolder,
  file: string,
): Promise<DescribedNetwork> {
  const target = parseUrl(url);
  return describeNetwork({
    file,
    cwd: folder.top,
    root: await readCommittedRoot(folder, { file, displayName: file, lockPath: "cvl.lock" }),
    versions: "locked",
    writeLock: false,
    mirrors,
    baseUrl: url,
    isPart: true,
    refusePaths: isRefusedUrl(target) || !isLocal(target),
  });
}

function isLibrary({ diagnostics }: DescribedNetwork): boolean {
  return diagnostics.some(({ code }: Diagnostic) => code === "CVL_ROOT_OBJECT");
}
