/**
 * A GitHub to test against: every request and every reply is checked against GitHub's own description (github-openapi.json),
 * state is kept, commits lie in real bare git repositories, and it fails on demand.
 * A request the description forbids gets GitHub's 422; a defect of the server itself is a 500 and makes `close` reject.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { mkdir } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import path from "node:path";
import addFormats from "ajv-formats";
import { OpenAPIBackend, type Context } from "openapi-backend";
import { Refusal, type Call, type Handler, type Reply } from "./github-server-call.ts";
import { checkHandlers } from "./github-server-checks.ts";
import { createFaults, type Fault } from "./github-server-faults.ts";
import { commitFiles, initializeRepository } from "./github-server-git.ts";
import { pullHandlers } from "./github-server-pulls.ts";
import { refHandlers } from "./github-server-refs.ts";
import { rulesetHandlers } from "./github-server-rulesets.ts";
import { complete, readDescription, responseSchema, unknownFields } from "./github-server-schema.ts";
import { settingsHandlers } from "./github-server-settings.ts";
import {
  createState,
  type ServerState,
  type ServerUser,
  type StoredRepository,
} from "./github-server-state.ts";

export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  readonly operation: string | undefined;
  status: number;
}

export interface GitHubServer {
  readonly url: string;
  readonly state: ServerState;
  /** In order of arrival. */
  readonly requests: RecordedRequest[];
  /** Requests outside the description, fields GitHub would ignore, replies that do not fit it. */
  readonly defects: string[];
  /** Requests that change something, as `operation` names. */
  writes(): string[];
  addUser(token: string, user: Partial<ServerUser> & { readonly login: string }): ServerUser;
  addTeam(org: string, slug: string): void;
  addRepository(fullName: string, options?: RepositoryOptions): Promise<StoredRepository>;
  /** Commits files on a branch (null removes one); resolves to the commit. */
  commit(fullName: string, branch: string, files: Readonly<Record<string, string | null>>): Promise<string>;
  /** The next requests of an operation fail as it says. */
  fail(operation: string, fault: Fault): void;
  /** Rejects when the server found a defect, in itself or in a request. */
  close(): Promise<void>;
}

export interface RepositoryOptions {
  readonly private?: boolean;
  readonly forkOf?: StoredRepository;
  readonly planHas?: Partial<StoredRepository["planHas"]>;
}

/** `directory` takes the bare repositories; the test removes it. */
export async function startGitHubServer(directory: string): Promise<GitHubServer> {
  const state = createState();
  const requests: RecordedRequest[] = [];
  const defects: string[] = [];
  const faults = createFaults();
  const answer = await createRouter({ state, defects });
  const server = createServer((request, response) => {
    void serve(request, response).catch((error: unknown) => {
      defects.push(String(error));
      response.destroy();
    });
  });

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", `http://${request.headers.host ?? ""}`);
    const text = await readBody(request);
    const operation = answer.operationOf(request.method ?? "GET", url.pathname);
    const record: RecordedRequest = {
      method: request.method ?? "GET",
      path: url.pathname,
      operation,
      status: 0,
    };
    requests.push(record);
    const fault = faults.take(operation);
    await fault?.before?.();
    if (fault?.drop === "before") return void response.destroy();
    const reply = fault?.reply ?? (await answer.reply(request, url, text));
    record.status = reply.status;
    await fault?.after?.();
    if (fault?.drop === "after") return void response.destroy();
    if (fault?.drop === "never-answer") return;
    send(response, reply);
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const repository = (fullName: string) => {
    const found = state.repositories.get(fullName.toLowerCase());
    if (found === undefined) throw new Error(`the test made no repository ${fullName}`);
    return found;
  };
  return {
    url,
    state,
    requests,
    defects,
    writes: () =>
      requests
        .filter(({ method }) => method !== "GET")
        .map(({ operation, path: where }) => operation ?? where),
    addUser: (token, user) => {
      const added: ServerUser = { id: state.nextId(), type: "User", role: "write", ...user };
      state.users.set(token, added);
      return added;
    },
    addTeam: (org, slug) => void state.teams.set(`${org}/${slug}`, { id: state.nextId(), org, slug }),
    addRepository: async (fullName, options = {}) => {
      const added = await makeRepository({ directory, fullName, id: state.nextId(), options });
      state.repositories.set(fullName.toLowerCase(), added);
      return added;
    },
    commit: (fullName, branch, files) =>
      commitFiles(repository(fullName).gitDirectory, {
        branch,
        files,
        message: `Change ${branch}`,
        from: "main",
      }),
    fail: (operation, fault) => {
      faults.add(operation, fault);
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      if (defects.length > 0) throw new Error(`the GitHub test server saw defects:\n${defects.join("\n")}`);
    },
  };
}

async function makeRepository(options: {
  directory: string;
  fullName: string;
  id: number;
  options: RepositoryOptions;
}): Promise<StoredRepository> {
  const [owner = "", name = ""] = options.fullName.split("/");
  const gitDirectory = path.join(options.directory, owner, `${name}.git`);
  await mkdir(path.dirname(gitDirectory), { recursive: true });
  await initializeRepository(gitDirectory, "main");
  await commitFiles(gitDirectory, {
    branch: "main",
    files: { "README.md": `${options.fullName}\n` },
    message: "Begin",
  });
  return {
    id: options.id,
    owner,
    name,
    private: options.options.private ?? false,
    defaultBranch: "main",
    gitDirectory,
    forkOf: options.options.forkOf,
    planHas: { rulesets: true, environmentRules: true, ...options.options.planHas },
    lastNumber: 0,
    pulls: [],
    labels: new Map(),
    checkRuns: [],
    statuses: [],
    deployments: [],
    releases: [],
    rulesets: [],
    branchProtections: new Map(),
    environments: new Map(),
    runs: [],
    artifacts: [],
    dispatches: [],
  };
}

const handlers: Readonly<Record<string, Handler>> = {
  ...pullHandlers,
  ...checkHandlers,
  ...refHandlers,
  ...rulesetHandlers,
  ...settingsHandlers,
};

interface Router {
  operationOf(method: string, pathname: string): string | undefined;
  reply(request: IncomingMessage, url: URL, text: string): Promise<Reply>;
}

/** What a request is carried out with: `defects` are those of the server that got it. */
type Asked = Omit<Call, "params" | "query"> & { readonly defects: string[] };

let shared: Promise<OpenAPIBackend> | undefined;

/** One for all servers of a process: compiling GitHub's description costs more than all requests of a test. */
function descriptionApi(): Promise<OpenAPIBackend> {
  return (shared ??= createApi());
}

async function createApi(): Promise<OpenAPIBackend> {
  const description = readDescription();
  const api = new OpenAPIBackend({
    definition: structuredClone(description),
    quick: true,
    ajvOpts: { strict: false, unicodeRegExp: false },
    customizeAjv: (ajv) => {
      addFormats.default(ajv);
      ajv.addFormat("repo.nwo", true);
      ajv.addFormat("timestamp", true);
      return ajv;
    },
  });
  const handle = async (context: Context, { defects, ...call }: Asked): Promise<Reply> => {
    const id = context.operation.operationId ?? "";
    const handler = handlers[id];
    if (handler === undefined) throw new Error(`the test server does not carry out ${id}`);
    defects.push(
      ...unknownFields(description, id, call.body).map((field) => `${id}: GitHub ignores the field ${field}`),
    );
    const params = context.request.params as Record<string, string>;
    const reply = await handler({ ...call, params, query: context.request.query as Record<string, string> });
    const schema = responseSchema(description, id, reply.status);
    if (schema === undefined) return reply;
    const body = complete(description, schema, reply.body);
    const { errors } = api.validateResponse(body, id, reply.status);
    if (errors?.length)
      throw new Error(`the reply of ${id} does not fit: ${JSON.stringify(errors.slice(0, 3))}`);
    return { ...reply, body };
  };
  api.register({
    validationFail: (context: Context) => ({ status: 422, body: validationError(context) }),
    notFound: (context: Context, { defects }: Asked) => {
      defects.push(`not in the pruned description: ${context.request.method} ${context.request.path}`);
      return { status: 404, body: { message: "Not Found", documentation_url: "" } };
    },
    notImplemented: (context: Context, asked: Asked) => handle(context, asked),
  });
  await api.init();
  return api;
}

async function createRouter({ state, defects }: { state: ServerState; defects: string[] }): Promise<Router> {
  const api = await descriptionApi();
  return {
    operationOf: (method, pathname) =>
      api.matchOperation({ method, path: pathname, headers: {} })?.operationId ??
      (pathname === "/graphql" ? "graphql" : undefined),
    reply: async (request, url, text) => {
      if (url.pathname.startsWith("/_artifacts/")) return artifactReply(state, url);
      const user = state.users.get((request.headers.authorization ?? "").replace(/^(token|bearer) /i, ""));
      if (user === undefined) return refusalReply(new Refusal(401, "Bad credentials"));
      const isWrite = request.method !== "GET";
      if (url.pathname === "/graphql")
        return { status: 200, body: { data: { viewer: { login: user.login } } } };
      if (isWrite && user.role === "read") {
        return refusalReply(new Refusal(403, "Resource not accessible by integration"));
      }
      const body = text === "" ? undefined : (JSON.parse(text) as unknown);
      const query = Object.fromEntries(url.searchParams);
      const asked: Asked = { state, user, origin: url.origin, url, body, defects };
      try {
        return (await api.handleRequest(
          {
            method: request.method ?? "GET",
            path: url.pathname,
            query,
            body,
            headers: { "content-type": "application/json" },
          },
          asked,
        )) as Reply;
      } catch (error) {
        if (error instanceof Refusal) return refusalReply(error);
        defects.push(`${request.method ?? ""} ${url.pathname}: ${String(error)}`);
        return { status: 500, body: { message: String(error) } };
      }
    },
  };
}

function validationError(context: Context): unknown {
  const errors = (context.validation.errors ?? []).map(({ instancePath, message }) => ({
    resource: "Request",
    field: instancePath,
    code: "invalid",
    message,
  }));
  return { message: "Validation Failed", errors, documentation_url: "https://docs.github.com/rest" };
}

function refusalReply(refusal: Refusal): Reply {
  const { status, message, errors } = refusal;
  return {
    status,
    body: { message, errors, documentation_url: "https://docs.github.com/rest", status: String(status) },
  };
}

function artifactReply(state: ServerState, url: URL): Reply {
  const id = Number(/(\d+)\.zip$/.exec(url.pathname)?.[1]);
  const artifacts = [...state.repositories.values()].flatMap((repository) => repository.artifacts);
  const found = artifacts.find((artifact) => artifact.id === id);
  return found === undefined ? { status: 404 } : { status: 200, body: found.zip };
}

function send(response: ServerResponse, reply: Reply): void {
  if (reply.body === undefined) {
    response.writeHead(reply.status, reply.headers).end();
  } else if (typeof reply.body === "string") {
    response.writeHead(reply.status, { "content-type": "text/html", ...reply.headers }).end(reply.body);
  } else if (reply.body instanceof Uint8Array) {
    response.writeHead(reply.status, { "content-type": "application/zip", ...reply.headers }).end(reply.body);
  } else {
    const headers = { "content-type": "application/json; charset=utf-8", ...reply.headers };
    response.writeHead(reply.status, headers).end(JSON.stringify(reply.body));
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}
