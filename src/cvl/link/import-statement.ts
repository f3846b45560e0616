/** `import { url => …, cvl => …, version => … } Name;` to an ImportRequest: every rule that needs no other file. */
import type { Span } from "../../diagnostics.ts";
import { hintNearest } from "../nearest.ts";
import { quote, type Reporter } from "../report.ts";
import type { ImportRequest, SourceFile } from "../source.ts";
import type { ImportSyntax, PairSyntax, StringSyntax, SyntaxRange } from "../parse/syntax.ts";

const KEYS = ["url", "cvl", "version"];
const MAX_URL_LENGTH = 2000;
const MAX_VERSION = 999_999_999;
const SCHEMES = ["https", "ssh", "http", "file"];

/** The request, or undefined when the statement is wrong; what is wrong is reported. */
export function readImport(
  statement: ImportSyntax,
  from: SourceFile,
  reporter: Reporter,
): ImportRequest | undefined {
  const spanOf = ({ start, end }: SyntaxRange): Span => ({ file: from.displayName, start, end });
  const values = readPairs(statement, spanOf, reporter);
  if (values === undefined) return undefined;
  const url = values.get("url");
  const cvl = values.get("cvl");
  const missing = ["url", "cvl"].filter((key) => !values.has(key));
  if (url === undefined || cvl === undefined) {
    reporter.report(
      "CVL_IMPORT_MAP",
      `an import needs \`url\` and \`cvl\`, ${missing.map((key) => `\`${key}\``).join(" and ")} ${missing.length > 1 ? "are" : "is"} missing`,
      spanOf(statement.map),
      {
        hint: 'for example: import { url => "https://example.org/DNS", cvl => "DNS.cvl", version => "3" } DNS;',
      },
    );
    return undefined;
  }
  const version = values.get("version");
  const isFine = [
    checkUrl(url, spanOf(url), reporter),
    checkFile(cvl, spanOf(cvl), reporter),
    version === undefined || checkVersion(version, spanOf(version), reporter),
  ].every((fine) => fine);
  if (!isFine) return undefined;
  return {
    url: url.text,
    cvl: cvl.text,
    version: version === undefined ? undefined : Number(version.text),
    from,
    span: spanOf(statement.name),
  };
}

function readPairs(
  statement: ImportSyntax,
  spanOf: (range: SyntaxRange) => Span,
  reporter: Reporter,
): ReadonlyMap<string, StringSyntax> | undefined {
  const values = new Map<string, StringSyntax>();
  const refuse = (message: string, range: SyntaxRange, hint?: string) => {
    reporter.report("CVL_IMPORT_MAP", message, spanOf(range), { hint });
  };
  for (const { key, value } of statement.map.pairs) {
    if (!KEYS.includes(key.text)) {
      refuse(`an import has no key ${quote(key.text)}`, key, hintNearest(key.text, KEYS));
    } else if (values.has(key.text)) {
      refuse(`the key ${quote(key.text)} is there twice`, key, "an import names one place");
    } else if (value.kind === "string") {
      values.set(key.text, value);
    } else {
      refuse(`expected a string in double quotes, got ${describeValue(value)}`, value, IMPORT_IS_FIXED);
    }
  }
  return values.size === statement.map.pairs.length ? values : undefined;
}

const IMPORT_IS_FIXED = "what is imported is fixed in the file; it cannot come from a parameter";

function describeValue(value: PairSyntax["value"]): string {
  return value.kind === "map" ? "a map" : "a name";
}

function checkUrl(url: StringSyntax, span: Span, reporter: Reporter): boolean {
  const problem = findUrlProblem(url.text);
  if (problem !== undefined) {
    reporter.report("CVL_IMPORT_REFUSED", `the url ${quote(url.text)} ${problem}`, span, {
      hint: "a url is https://…, ssh://…, git@host:path, file:///…, or a path, absolute or relative to this repository",
    });
    return false;
  }
  if (/^http:/i.test(url.text)) {
    reporter.report("CVL_IMPORT_INSECURE", `${quote(url.text)} is fetched without encryption`, span, {
      severity: "warning",
      hint: "whoever sits in between can change what is run; write https:// if the server has it",
    });
  }
  return true;
}

function findUrlProblem(url: string): string | undefined {
  if (url === "") return "is empty";
  if (url.length > MAX_URL_LENGTH) return `is longer than ${MAX_URL_LENGTH} characters`;
  if (url.startsWith("-")) return "begins with `-`, as an option does";
  if (/^[A-Za-z0-9+.-]*::/.test(url)) return "names a git remote helper, which would run a program";
  if (/[\0-\x1f\x7f]|^ | $/.test(url)) return "has a control character, or a space at an end";
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(url)?.[1]?.toLowerCase();
  if (scheme !== undefined && !SCHEMES.includes(scheme))
    return `has a scheme that is not one of ${SCHEMES.join(", ")}`;
  if (hasOptionLikeHost(url, scheme)) return "has a host or user that begins with `-`, as an option does";
  return undefined;
}

/** `ssh://-oProxyCommand=…/`, `-x@host:path`, `user@-x:path`: git hands the host to ssh as an argument. */
function hasOptionLikeHost(url: string, scheme: string | undefined): boolean {
  const authority =
    scheme === undefined ? /^([^/:]+):/.exec(url)?.[1] : /^[^:]+:\/\/([^/?#]*)/.exec(url)?.[1];
  return (
    authority
      ?.split("@")
      .some((part) => part.startsWith("-") || part.startsWith("%2d") || part.startsWith("%2D")) ?? false
  );
}

function checkFile(cvl: StringSyntax, span: Span, reporter: Reporter): boolean {
  const problem = findFileProblem(cvl.text);
  if (problem === undefined) return true;
  reporter.report("CVL_IMPORT_REFUSED", `the cvl file ${quote(cvl.text)} ${problem}`, span, {
    hint: "`cvl` is the path of a .cvl file inside the imported repository",
  });
  return false;
}

function findFileProblem(file: string): string | undefined {
  if (file === "") return "is empty";
  if (file.length > MAX_URL_LENGTH) return `is longer than ${MAX_URL_LENGTH} characters`;
  if (/[\0-\x1f\x7f]/.test(file)) return "has a control character";
  if (file.startsWith("/") || file.includes("\\") || /^[A-Za-z]:/.test(file))
    return "is no path inside a repository";
  const parts = file.split("/");
  if (parts.includes("..")) return "leaves its repository";
  if (
    parts.some((part) => part === "" || part === "." || part.toLowerCase() === ".git" || part.startsWith("-"))
  ) {
    return "has a part that is empty, `.`, `.git` or like an option";
  }
  return file.endsWith(".cvl") ? undefined : "does not end with .cvl";
}

function checkVersion(version: StringSyntax, span: Span, reporter: Reporter): boolean {
  if (/^[1-9][0-9]*$/.test(version.text) && Number(version.text) <= MAX_VERSION) return true;
  reporter.report(
    "CVL_IMPORT_VERSION",
    `expected a version from 1 to ${MAX_VERSION}, got ${quote(version.text)}`,
    span,
    {
      hint: 'versions count 1, 2, 3 …: version => "3"; without a version the lock decides, else the newest is taken',
    },
  );
  return false;
}
