/** GitHub's description, pruned: reading it, and filling a reply's required fields that carry no meaning in a test. */
import { readFileSync } from "node:fs";
import path from "node:path";

export interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly nullable?: boolean;
  readonly enum?: readonly unknown[];
  readonly format?: string;
  readonly minimum?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly allOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
}

interface Content {
  readonly content?: Readonly<Record<string, { readonly schema?: Schema }>>;
  readonly $ref?: string;
}

export interface Operation {
  readonly operationId: string;
  readonly requestBody?: Content;
  readonly responses: Readonly<Record<string, Content>>;
}

export interface Description {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Tests run with the project's folder as the working folder. */
export function readDescription(): Description {
  return nullableByType(
    JSON.parse(readFileSync(path.resolve("test/forge/github-openapi.json"), "utf8")),
  ) as Description;
}

/** `nullable` beside `enum`, `anyOf` and the like means nothing to a validator: the null becomes an alternative of its own. */
function nullableByType(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(nullableByType);
  if (typeof node !== "object" || node === null) return node;
  const fields = Object.fromEntries(
    Object.entries(node).map(([name, value]) => [name, nullableByType(value)]),
  );
  if (fields["nullable"] !== true) return fields;
  if ("type" in fields)
    return Array.isArray(fields["enum"])
      ? { ...fields, enum: [...(fields["enum"] as unknown[]), null] }
      : fields;
  delete fields["nullable"];
  return { anyOf: [fields, { enum: [null] }] };
}

export function findOperation(description: Description, operationId: string): Operation {
  for (const item of Object.values(description.paths)) {
    const found = Object.values(item).find((operation) => operation.operationId === operationId);
    if (found !== undefined) return found;
  }
  throw new Error(`no operation ${operationId}`);
}

export function responseSchema(
  description: Description,
  operationId: string,
  status: number,
): Schema | undefined {
  const response = findOperation(description, operationId).responses[String(status)];
  if (response === undefined) return undefined;
  return resolve<Content>(description, response).content?.["application/json"]?.schema;
}

/** Top-level fields of a request body the description does not know: GitHub ignores them in silence, a test must not. */
export function unknownFields(description: Description, operationId: string, body: unknown): string[] {
  const schema = findOperation(description, operationId).requestBody?.content?.["application/json"]?.schema;
  if (schema === undefined || typeof body !== "object" || body === null || Array.isArray(body)) return [];
  const known = knownFields(description, schema);
  return known === undefined ? [] : Object.keys(body).filter((name) => !known.has(name));
}

function knownFields(description: Description, schema: Schema): Set<string> | undefined {
  const resolved = resolve<Schema>(description, schema);
  const parts = [...(resolved.oneOf ?? []), ...(resolved.anyOf ?? []), ...(resolved.allOf ?? [])];
  const names = new Set(Object.keys(resolved.properties ?? {}));
  for (const part of parts) for (const name of knownFields(description, part) ?? []) names.add(name);
  return names.size === 0 ? undefined : names;
}

function resolve<Node>(description: Description, node: Node & { readonly $ref?: string }): Node {
  if (node.$ref === undefined) return node;
  const [, , kind = "", name = ""] = node.$ref.split("/");
  return resolve(description, description.components[kind]?.[name] as Node & { readonly $ref?: string });
}

/** `value` with every required field the schema asks for; what is there is kept as it is. */
export function complete(description: Description, schema: Schema, value: unknown): unknown {
  const resolved = resolve<Schema>(description, schema);
  if (value === null) return null;
  if (value === undefined && resolved.nullable === true) return null;
  const branches = resolved.anyOf ?? resolved.oneOf;
  if (branches !== undefined && resolved.properties === undefined) {
    return complete(description, bestBranch(description, branches, value), value);
  }
  const merged = mergeAllOf(description, resolved);
  if (Array.isArray(value)) {
    const { items } = merged;
    return items === undefined ? value : value.map((entry) => complete(description, items, entry));
  }
  if (typeof value === "object" || (value === undefined && (merged.type === "object" || merged.properties))) {
    return completeObject(description, merged, (value ?? {}) as Record<string, unknown>);
  }
  return value === undefined ? invent(merged) : value;
}

function completeObject(
  description: Description,
  schema: Schema,
  value: Record<string, unknown>,
): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  const properties = schema.properties ?? {};
  for (const [name, entry] of Object.entries(value)) {
    if (entry === undefined) continue;
    const property = properties[name];
    result[name] = property === undefined ? entry : complete(description, property, entry);
  }
  for (const name of schema.required ?? []) {
    if (name in result) continue;
    result[name] = complete(description, properties[name] ?? {}, undefined);
  }
  return result;
}

function mergeAllOf(description: Description, schema: Schema): Schema {
  if (schema.allOf === undefined) return schema;
  const parts = schema.allOf.map((part) => mergeAllOf(description, resolve<Schema>(description, part)));
  return {
    ...parts[0],
    ...schema,
    required: [...(schema.required ?? []), ...parts.flatMap((part) => part.required ?? [])],
    properties: Object.assign(
      {},
      ...parts.map((part) => part.properties ?? {}),
      schema.properties ?? {},
    ) as Record<string, Schema>,
  };
}

/** The branch that fits what is there: by type, by an enumerated `type` field, then by how many fields it knows. */
function bestBranch(description: Description, branches: readonly Schema[], value: unknown): Schema {
  const scored = branches.map((branch) => {
    const resolved = mergeAllOf(description, resolve<Schema>(description, branch));
    return { branch, score: fit(resolved, value) };
  });
  scored.sort((a, b) => b.score - a.score);
  return scored[0]?.branch ?? {};
}

function fit(schema: Schema, value: unknown): number {
  if (value === undefined) return 0;
  if (Array.isArray(value)) return schema.type === "array" ? 1 : -1;
  if (typeof value !== "object" || value === null) return schema.type === typeof value ? 1 : -1;
  const known = Object.keys(value).filter((name) => schema.properties?.[name] !== undefined).length;
  const { type } = value as { type?: unknown };
  const kinds = schema.properties?.["type"]?.enum;
  return kinds !== undefined && type !== undefined ? (kinds.includes(type) ? known + 100 : -100) : known;
}

function invent(schema: Schema): unknown {
  if (schema.enum !== undefined) return schema.enum[0];
  switch (schema.type) {
    case "string":
      return inventString(schema.format);
    case "integer":
    case "number":
      return Math.max(1, schema.minimum ?? 1);
    case "boolean":
      return false;
    case "array":
      return [];
    default:
      return {};
  }
}

function inventString(format: string | undefined): string {
  switch (format) {
    case "uri":
      return "http://github.test/";
    case "date-time":
      return "2026-01-01T00:00:00Z";
    case "email":
      return "nobody@example.org";
    default:
      return "-";
  }
}
