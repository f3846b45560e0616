/** A linked program: every file of the import closure with its names bound. Made by `link`, read by `evaluate`. */
import type { SourceFile } from "./source.ts";

export interface LinkedProgram {
  readonly root: SourceFile;
  /** Name of the root object. */
  readonly object: string;
  /** Every file of the closure by displayName; diagnostics are rendered with their texts. */
  readonly files: ReadonlyMap<string, SourceFile>;
}
