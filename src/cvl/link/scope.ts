/** What the binding of one file works with: its names, where to report, how much it may do. */
import { makeDiagnostic, type Diagnostic, type Span } from "../../diagnostics.ts";
import { hintNearest } from "../nearest.ts";
import type { ObjectClass } from "./object-class.ts";
import { quote, type Reporter } from "../report.ts";
import type { SourceFile } from "../source.ts";
import type { SyntaxRange } from "../parse/syntax.ts";

export interface Scope {
  readonly file: SourceFile;
  readonly reporter: Reporter;
  readonly budget: Budget;
  /** The object a name stands for in this file; undefined for no name, and for an import that failed. */
  find(name: string): ObjectClass | undefined;
  /** True for failed imports too: their errors are reported where they happened. */
  has(name: string): boolean;
  names(): readonly string[];
}

/** Bounds work that grows faster than the text. */
export interface Budget {
  /** @throws LimitReached when it is used up. */
  spend(amount: number): void;
}

/** Leaves the linker at once; `link` reports its diagnostic. */
export class LimitReached extends Error {
  readonly diagnostic: Diagnostic;

  constructor(message: string) {
    super(message);
    this.diagnostic = makeDiagnostic("CVL_LIMIT", message, undefined, {
      hint: "split the program into smaller appliances",
    });
  }
}

/** A budget of `limit` units; `what` names it in the error. */
export function createBudget(limit: number, what: string): Budget {
  let spent = 0;
  return {
    spend: (amount) => {
      spent += amount;
      if (spent > limit) throw new LimitReached(`there may be at most ${limit} ${what}`);
    },
  };
}

export function spanOf(file: SourceFile, { start, end }: SyntaxRange): Span {
  return { file: file.displayName, start, end };
}

/** A name that should be an object's: of a base, of a component. */
export function reportUnknownClass(name: string, span: Span, scope: Scope): void {
  scope.reporter.report("CVL_UNKNOWN_CLASS", `there is no object ${quote(name)} here`, span, {
    hint: () => hintNearest(name, scope.names()) ?? 'import it: import { url => "…", cvl => "….cvl" } Name;',
  });
}
