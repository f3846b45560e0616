/** Resolves imports: URL, policy, version by pin, lock or newest, and the file at that commit. */
import pLimit from "p-limit";
import { decodeText } from "../cvl/parse/decode-text.ts";
import { MAX_CLOSURE_CHARACTERS, MAX_FILE_CHARACTERS } from "../cvl/limits.ts";
import type { ImportRequest, ImportResolver, SourceFile } from "../cvl/source.ts";
import { makeDiagnostic, type Diagnostic, type DiagnosticCode } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import { chooseVersion, ChoiceRefused, type Chosen } from "./choose-version.ts";
import type { IsEligible, Lock, LockEntry, ResolvedImport } from "./loaded-appliance.ts";
import { findEntry, pinOf } from "./lock.ts";
import type { Mirrors } from "./mirrors.ts";
import { repositoryPathProblem, withoutLeadingDot } from "../git/path.ts";
import { isRelativeUrl, isRefusedUrl, resolveUrl, type RepositoryUrl } from "../git/url.ts";
import { policyProblem, type UrlPolicy } from "../git/url-policy.ts";

export interface ResolverOptions {
  readonly mirrors: Mirrors;
  readonly lock: Lock;
  readonly policy: UrlPolicy;
  readonly versions: "locked" | "newest";
  readonly isEligible?: IsEligible | undefined;
  /** Look at the remotes even where the mirrors have what is needed. */
  readonly fetch: boolean;
  /** What relative URLs of the root file are relative to; asked only when there is one. */
  readonly rootUrl: () => Promise<string>;
}

export interface LockingResolver extends ImportResolver {
  /** Met on the way: warnings, and files that are no UTF-8. */
  diagnostics(): readonly Diagnostic[];
  /** One entry for each import that was resolved. */
  entries(): readonly LockEntry[];
  /** Each import that was resolved, with the file it stands in. */
  imports(): readonly ResolvedImport[];
}

/** Imports of a file are asked for all at once; each takes a git process or two. */
const MAX_AT_ONCE = 16;

/** An import resolver that remembers what it chose. */
export function createImportResolver(options: ResolverOptions): LockingResolver {
  const met = new Map<string, Diagnostic>();
  const chosen = new Map<string, Promise<Chosen>>();
  const entries = new Map<string, LockEntry>();
  const imports: ResolvedImport[] = [];
  const read = createReader(options.mirrors);

  const choose = (target: RepositoryUrl, request: ImportRequest): Promise<Chosen> => {
    const pin = pinOf(request.version);
    const key = `${pin} ${target.url}`;
    const known =
      chosen.get(key) ?? chooseVersion({ ...options, target, pin, entry: lockEntry(target, pin) });
    chosen.set(key, known);
    return known;
  };
  const lockEntry = (target: RepositoryUrl, pin: string): LockEntry | undefined => {
    const entry = findEntry(options.lock, target.url, pin);
    // However the lock writes it, it is reached as the import says.
    return entry === undefined ? undefined : { ...entry, url: target.url };
  };
  const warn = (request: ImportRequest, warning: Diagnostic): void => {
    if (!met.has(warning.message)) met.set(warning.message, placed(warning, request));
  };

  const resolveOne = async (request: ImportRequest): Promise<SourceFile | Diagnostic> => {
    const file = withoutLeadingDot(request.cvl);
    const pathProblem = repositoryPathProblem(file);
    if (pathProblem !== undefined) {
      const message = `the path ${JSON.stringify(request.cvl)} ${pathProblem}`;
      const hint = "`cvl` names a file by its path inside the repository";
      return makeDiagnostic("IMPORT_FILE_REFUSED", message, request.span, { hint });
    }
    const target = await resolveTarget(request, options);
    if (isRefusedUrl(target)) return placed(target, request);
    if (target.kind === "http") warn(request, insecure(target));
    try {
      const choice = await choose(target, request);
      for (const warning of choice.warnings) warn(request, warning);
      entries.set(`${choice.entry.pin} ${choice.entry.url}`, choice.entry);
      imports.push({ from: request.from.source, file: request.from.file, entry: choice.entry });
      const { source, diagnostics } = await read(choice, file);
      for (const diagnostic of diagnostics) met.set(source.displayName, diagnostic);
      return source;
    } catch (error) {
      return placed(toDiagnostic(error), request);
    }
  };
  const limit = pLimit(MAX_AT_ONCE);
  const resolve = (request: ImportRequest) => limit(resolveOne, request);
  return {
    resolve,
    diagnostics: () => [...met.values()],
    entries: () => [...entries.values()],
    imports: () => imports,
  };
}

async function resolveTarget(
  request: ImportRequest,
  options: ResolverOptions,
): Promise<RepositoryUrl | Diagnostic> {
  const { source } = request.from;
  const fromRoot = source.version === null && isRelativeUrl(request.url);
  const target = resolveUrl(request.url, fromRoot ? await options.rootUrl() : source.url);
  return isRefusedUrl(target) ? target : (policyProblem(target, options.policy) ?? target);
}

function insecure({ url }: RepositoryUrl): Diagnostic {
  const message = `${url} is fetched without encryption`;
  return makeDiagnostic("IMPORT_URL_INSECURE", message, undefined, {
    hint: "use its https URL",
    severity: "warning",
  });
}

interface ReadFile {
  readonly source: SourceFile;
  readonly diagnostics: readonly Diagnostic[];
}

/** Reads each file once, one after the other: how many bytes the next may have is known before it is read. */
function createReader(mirrors: Mirrors): (choice: Chosen, file: string) => Promise<ReadFile> {
  const known = new Map<string, Promise<ReadFile>>();
  const turn = pLimit(1);
  let left = MAX_CLOSURE_CHARACTERS;
  const readOne = async ({ entry: { url, version, commit } }: Chosen, file: string, displayName: string) => {
    const mirror = await mirrors.get(url);
    const maxBytes = Math.min(left, MAX_FILE_CHARACTERS);
    const content = await mirror.files(commit).readFile(file, { maxBytes }).catch(nameLimit);
    left -= content.length;
    const { text, diagnostics } = decodeText(content, displayName);
    return { source: { source: { url, version, commit }, file, displayName, text }, diagnostics };
  };
  return (choice, file) => {
    const displayName = `${choice.entry.url}@v${choice.entry.version}:${file}`;
    const reading = known.get(displayName) ?? turn(readOne, choice, file, displayName);
    known.set(displayName, reading);
    return reading;
  };
}

/** What does not fit any more would have fitted alone: the limit is on all files together. */
function nameLimit(error: unknown): never {
  const size = error instanceof CollectiveError ? error.data["sizeBytes"] : undefined;
  if (!(error instanceof CollectiveError) || typeof size !== "number" || size > MAX_FILE_CHARACTERS)
    throw error;
  throw new CollectiveError(
    error.code,
    `${error.message}: the files that a file imports may have at most ${MAX_CLOSURE_CHARACTERS} bytes together`,
    { cause: error, data: error.data },
  );
}

/** With the import as its place. */
function placed(diagnostic: Diagnostic, { span }: ImportRequest): Diagnostic {
  return { ...diagnostic, span };
}

const DIAGNOSTIC_OF_ERROR: Readonly<Record<string, DiagnosticCode>> = {
  REPOSITORY_MISSING: "IMPORT_UNREACHABLE",
  REPOSITORY_UNREACHABLE: "IMPORT_UNREACHABLE",
  REPOSITORY_DAMAGED: "IMPORT_UNREACHABLE",
  REPOSITORY_FILE_MISSING: "IMPORT_FILE_MISSING",
  REPOSITORY_FILE_REFUSED: "IMPORT_FILE_REFUSED",
  REPOSITORY_FILE_TOO_LARGE: "IMPORT_FILE_TOO_LARGE",
};

/** What an import can do wrong is a diagnostic; that git is not installed, say, is not. */
function toDiagnostic(error: unknown): Diagnostic {
  if (error instanceof ChoiceRefused) return error.diagnostic;
  if (!(error instanceof CollectiveError)) throw error;
  const code = DIAGNOSTIC_OF_ERROR[error.code];
  if (code === undefined) throw error;
  return makeDiagnostic(code, error.message, undefined, { hint: error.hint });
}
