/** Programs of CVL as data: what the reference evaluates and the generator makes; `writeProgram` gives their text. */

export interface Program {
  /** By `url@version:file`. */
  readonly files: ReadonlyMap<string, ProgramFile>;
  /** The root file, and the object in it that is evaluated. */
  readonly root: ProgramFile;
  readonly object: string;
}

export interface ProgramFile {
  readonly imports: readonly Import[];
  readonly objects: readonly ProgramObject[];
}

export interface Import {
  readonly url: string;
  readonly cvl: string;
  readonly version: number;
  readonly name: string;
}

export interface ProgramObject {
  readonly name: string;
  readonly base: string;
  readonly statements: readonly Statement[];
}

export type Statement =
  | { readonly kind: "var"; readonly attributes: readonly string[]; readonly names: readonly string[] }
  | { readonly kind: "component"; readonly class: string; readonly names: readonly string[] }
  | { readonly kind: "assign"; readonly path: readonly string[]; readonly values: readonly Expression[] };

export type Expression =
  | { readonly kind: "string"; readonly text: string }
  | { readonly kind: "reference"; readonly path: readonly string[] }
  | { readonly kind: "map"; readonly pairs: readonly (readonly [key: string, value: Expression])[] };

export function writeFile({ imports, objects }: ProgramFile): string {
  return [...imports.map(writeImport), ...objects.map(writeObject)].join("\n");
}

function writeImport({ url, cvl, version, name }: Import): string {
  return `import { url => "${url}", cvl => "${cvl}", version => "${version}" } ${name};`;
}

function writeObject({ name, base, statements }: ProgramObject): string {
  return `${name} extends ${base} {\n${statements.map((statement) => `  ${writeStatement(statement)}\n`).join("")}}`;
}

function writeStatement(statement: Statement): string {
  if (statement.kind === "var") {
    const attributes = statement.attributes.map((attribute) => `"${attribute}" `).join("");
    return `var ${attributes}${statement.names.join(", ")};`;
  }
  if (statement.kind === "component") return `${statement.class} ${statement.names.join(", ")};`;
  return `${statement.path.join(".")} = ${statement.values.map(writeExpression).join(", ")};`;
}

function writeExpression(expression: Expression): string {
  if (expression.kind === "reference") return expression.path.join(".");
  if (expression.kind === "string") return writeString(expression.text);
  const pairs = expression.pairs.map(([key, value]) => `${writeString(key)} => ${writeExpression(value)}`);
  return `{ ${pairs.join(", ")} }`;
}

function writeString(text: string): string {
  const escaped = text
    .replaceAll("\\", "\\\\")
    .replaceAll('"', '\\"')
    .replaceAll("\n", "\\n")
    .replaceAll("\t", "\\t");
  return `"${escaped}"`;
}
