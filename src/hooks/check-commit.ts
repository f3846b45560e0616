/** What one commit of a push must satisfy: as the tip of a branch its objects are here, and more when it is a version. */
import { makeDiagnostic, type Diagnostic, type TextOf } from "../diagnostics.ts";
import type { PathStore } from "../disk/path-store.ts";
import { listCommit } from "../git/commit-listing.ts";
import { missingObjects, type PointerFile } from "../lfs/listed-pointers.ts";
import type { VersionRule } from "../publish/check-version.ts";
import { inFilesOf, refusal, warning, type HookDiagnostic } from "./hook-diagnostic.ts";
import type { ReceivedPush } from "./received-push.ts";
import { limitSetting } from "./receive-limits.ts";
import { shortRef } from "./ref-updates.ts";

export interface CheckCommitOptions {
  readonly push: ReceivedPush;
  readonly ref: string;
  /** Its list of withdrawn versions is the one that counts. */
  readonly isDefaultBranch: boolean;
  /** Undefined for the tip of a branch. */
  readonly version: number | undefined;
  /** Numbers that are there already, or come with the push. */
  readonly numbers: ReadonlySet<number>;
  readonly commit: string;
  /** The repository's Git LFS objects. */
  readonly stores: readonly PathStore[];
  /** An import that cannot be fetched is a reason to refuse. */
  readonly importsRequired: boolean;
  /** Imports by path may lead nowhere else. */
  readonly pathsBelow: string | undefined;
}

const OF_A_BRANCH: readonly VersionRule[] = ["objects"];
const OF_THE_DEFAULT_BRANCH: readonly VersionRule[] = ["withdrawn", ...OF_A_BRANCH];

export async function checkCommit(options: CheckCommitOptions): Promise<readonly HookDiagnostic[]> {
  const { push, ref, version, numbers, commit, stores, pathsBelow } = options;
  const { git, objects, limits, mirrors } = push;
  const { folder } = git;
  const where = shortRef(ref);
  const listing = await listCommit({ git, commit, maxFiles: limits.files });
  if (listing === undefined) return [tooManyFiles(where, limits.files)];
  // Most pushes bring no version: the language is loaded only when a rule asks for it.
  const { ALL_RULES, checkVersion } = await import("../publish/check-version.ts");
  const { openCandidate } = await import("../publish/version-candidate.ts");
  const candidate = openCandidate({
    ...{ where, mirrors, git, objects, commit, version, numbers, listing },
    imports: { baseUrl: folder, fetch: false, ...(pathsBelow === undefined ? {} : { pathsBelow }) },
    findMissing: async (pointers) => (await missingObjects(pointers, stores)).map(objectMissing),
  });
  const ofABranch = options.isDefaultBranch ? OF_THE_DEFAULT_BRANCH : OF_A_BRANCH;
  const rules = version === undefined ? ofABranch : ALL_RULES;
  return inCommit(where, await checkVersion(candidate, rules), {
    textOf: ownTexts(candidate.textOf),
    importsRequired: options.importsRequired,
  });
}

/** The errors of a commit; an import that could not be looked at is a warning where it need not be there. */
export function inCommit(
  where: string,
  diagnostics: readonly Diagnostic[],
  { textOf, importsRequired }: { readonly textOf: TextOf; readonly importsRequired: boolean },
): readonly HookDiagnostic[] {
  const errors = diagnostics.filter(({ severity }) => severity === "error");
  return errors.flatMap((diagnostic) =>
    diagnostic.code === "IMPORT_UNREACHABLE" && !importsRequired
      ? [notChecked(where, diagnostic)]
      : inFilesOf(where, [diagnostic], textOf),
  );
}

function notChecked(where: string, { code, span, message }: Diagnostic): HookDiagnostic {
  return warning(where, code, `${span?.file ?? "it"} was not checked to the end: ${message}`);
}

/**
 * Texts of the commit itself, for carets. What an import holds is not shown: who pushes may not be who may read it.
 * @see createImportResolver, which names imported files `url@v3:path`; descriptions of their machines are `url v3:path`
 */
export function ownTexts(textOf: TextOf): TextOf {
  return (name) => (/[@ ]v\d+:/.test(name) ? undefined : textOf(name));
}

function objectMissing({ oid, path }: PointerFile): Diagnostic {
  const message = `the Git LFS object of ${path} (${oid.slice(0, 12)}…) is not here, or not whole`;
  const hint = "`git lfs push --all origin` sends them; then push again";
  return makeDiagnostic("VERSION_OBJECT_MISSING", message, undefined, { hint });
}

function tooManyFiles(where: string, limit: number): HookDiagnostic {
  const hint = `keep only the appliance in its repository, or raise ${limitSetting("files")}`;
  return refusal(where, "PUSH_TOO_LARGE", `it has more than ${limit} files`, hint);
}
