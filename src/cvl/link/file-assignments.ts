/** Assignments at file level: only `CVL = "0.8";`, the language version. */
import { quote, type Reporter } from "../report.ts";
import type { AssignmentSyntax, SyntaxFile, SyntaxRange } from "../parse/syntax.ts";

/** The language versions this program understands. */
const UNDERSTOOD_VERSIONS: readonly string[] = ["0.8"];

/** Reports every assignment that is not `CVL` with a version that is understood, once. */
export function checkFileAssignments({ displayName, assignments }: SyntaxFile, reporter: Reporter): void {
  const spanOf = ({ start, end }: SyntaxRange) => ({ file: displayName, start, end });
  let first: AssignmentSyntax | undefined;
  for (const assignment of assignments) {
    const name = assignment.target.names[0] ?? "";
    if (name !== "CVL") {
      reporter.report(
        "CVL_FILE_ASSIGNMENT",
        `only \`CVL\` may be assigned outside of objects, not ${quote(name)}`,
        spanOf(assignment.target),
        { hint: "is it meant to be inside of an object's braces?" },
      );
    } else if (first !== undefined) {
      reporter.report("CVL_VERSION", "the language version is named twice", spanOf(assignment), {
        hint: "remove one of them",
        related: [{ message: "first here", span: spanOf(first) }],
      });
    } else {
      first = assignment;
      checkVersion(assignment, spanOf, reporter);
    }
  }
}

function checkVersion(
  { values, target }: AssignmentSyntax,
  spanOf: (range: SyntaxRange) => { file: string; start: number; end: number },
  reporter: Reporter,
): void {
  const [value] = values;
  const range = value ?? target;
  const understood = UNDERSTOOD_VERSIONS.map((version) => `"${version}"`).join(", ");
  if (values.length !== 1 || value?.kind !== "string") {
    if (value === undefined) return; // a syntax error
    reporter.report("CVL_VERSION", "expected one language version in double quotes", spanOf(range), {
      hint: `understood: ${understood}`,
    });
  } else if (!UNDERSTOOD_VERSIONS.includes(value.text)) {
    reporter.report(
      "CVL_VERSION",
      `the language version ${quote(value.text)} is not understood`,
      spanOf(range),
      {
        hint: `understood: ${understood}; a newer version needs a newer cui`,
      },
    );
  }
}
