/** A linked program: every file of the import closure with its names bound. Made by `link`, read by `evaluate`. */
import type { ObjectClass } from "./object-class.ts";
import type { SourceFile } from "../source.ts";

export interface LinkedProgram {
  readonly root: SourceFile;
  /** Name of the root object. */
  readonly object: string;
  /** Every file of the closure by displayName, and the predefined objects' one; diagnostics are rendered with their texts. */
  readonly files: ReadonlyMap<string, SourceFile>;
  /** The root object, bound to everything it derives from and contains. */
  readonly rootClass: ObjectClass;
  /** Every object of the root file by name: each may be evaluated in place of `rootClass`. */
  readonly objects: ReadonlyMap<string, ObjectClass>;
}
