/** What a verb gets from the outside: so that a test can run one in its own process. */
import type { Command } from "commander";
import type { Diagnostic, TextOf } from "../diagnostics.ts";

export interface CliContext {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Progress may redraw lines; otherwise plain lines are printed. */
  readonly isTerminal: boolean;
  /** This very program, for what must call it later (git hooks); undefined in a test's own process: then no hooks are installed. */
  readonly program?: { readonly node: string; readonly cui: string };
  /** When the command began, as performance.now() counts: 0 for a process of its own; default now. */
  readonly startedAtMs?: number;
  /** A line on standard output; the newline is added. */
  readonly print: (text: string) => void;
  /** A line on standard error; the newline is added. */
  readonly warn: (text: string) => void;
  /** Asks a person on the terminal; undefined where nobody can be asked. */
  readonly ask?: (question: string) => Promise<string>;
  /** Told of what `printDiagnostics` shows. */
  readonly onDiagnostics?: (diagnostics: readonly Diagnostic[], textOf: TextOf) => void;
  /** A line on a terminal that the next one replaces, `""` with nothing; undefined where nobody watches. */
  readonly showStatus?: (text: string) => void;
}

/** What `configure` gets. */
export interface VerbContext extends CliContext {
  /** For a verb that runs another program in its place: that program's exit status becomes cui's. */
  exitWith(status: number): void;
}

/** One file a verb, `src/cli/verbs/<verb>.ts`, exports `configure`: arguments, help with an example, one action. */
export interface VerbModule {
  configure(command: Command, context: VerbContext): void;
}
