/** One request from its route to its answer. */
import path from "node:path";
import type { RunningProgram } from "../io.ts";
import type { Access, Caller } from "./access.ts";
import type { BodyMemory } from "./body-memory.ts";
import { ignoreBody, type Exchange } from "./exchange.ts";
import { findRepository } from "./find-repository.ts";
import { checkContentType, MAX_FETCH_REQUEST_BYTES, PUSH_MARGIN_BYTES, serveGit } from "./git-backend.ts";
import type { Granter } from "./grant.ts";
import { serveBatch } from "./lfs-batch.ts";
import { receiveObject, sendObject, verifyObject } from "./lfs-transfer.ts";
import type { ProcessSlots } from "./process-slots.ts";
import { notFound, Refusal, unauthorized } from "./refusal.ts";
import { withBody } from "./request-body.ts";
import { parseRoute, type Route } from "./route.ts";
import type { ServeLimits } from "./limits.ts";

/** What all requests share. */
export interface Service {
  /** The served folder, without symbolic links. */
  readonly root: string;
  readonly access: Access;
  readonly granter: Granter;
  /** Reading and pushing do not share places. */
  readonly slots: { readonly read: ProcessSlots; readonly push: ProcessSlots };
  readonly bodyMemory: BodyMemory;
  readonly limits: ServeLimits;
  /** git programs that run for clients. */
  readonly running: Set<RunningProgram>;
  /** The address clients use, without a slash at its end; undefined: what each says in its Host header. */
  readonly publicUrl: string | undefined;
  readonly isTls: boolean;
}

/**
 * @param onCaller called as soon as it is known who asks
 * @throws Refusal
 */
export async function answer(
  exchange: Exchange,
  service: Service,
  onCaller: (caller: Caller) => void,
): Promise<void> {
  const { request } = exchange;
  ignoreBody(exchange);
  const route = parseRoute(request.method ?? "", request.url ?? "");
  const caller = await service.access.callerOf(request.headers.authorization);
  onCaller(caller);
  // Before anything is looked up: who may not read does not learn what there is.
  if (caller.grant === undefined) service.access.require(caller, "read");
  const right = rightOf(route);
  if (caller.grant === undefined && right !== undefined) service.access.require(caller, right);
  const folder = await findRepository(service.root, route.repository);
  if (folder === undefined) throw notFound();
  await answerRoute(exchange, { service, route, caller, folder });
}

/** What is needed; undefined where the body says it. */
function rightOf(route: Route): "read" | "write" | undefined {
  switch (route.kind) {
    case "refs":
    case "service":
      return route.service === "git-receive-pack" ? "write" : "read";
    case "lfs-object":
      return route.isUpload ? "write" : "read";
    case "lfs-verify":
      return "write";
    case "lfs-batch":
    case "lfs-locks":
      return undefined;
  }
}

interface Answering {
  readonly service: Service;
  readonly route: Route;
  readonly caller: Caller;
  readonly folder: string;
}

async function answerRoute(exchange: Exchange, answering: Answering): Promise<void> {
  const { service, route, caller, folder } = answering;
  const { root, limits } = service;
  if (caller.grant !== undefined) checkGrant(answering);
  switch (route.kind) {
    case "refs":
    case "service":
      await answerGit(exchange, answering, route);
      return;
    case "lfs-batch":
      await serveBatch(exchange, {
        ...{ root, folder, endpoint: endpointOf(exchange, answering), name: caller.name },
        ...{ granter: service.granter, maxObjectBytes: limits.maxObjectBytes },
        require: (right) => {
          service.access.require(caller, right);
        },
      });
      return;
    case "lfs-object": {
      const place = { root, folder, oid: route.oid };
      if (!route.isUpload) await sendObject(exchange, place);
      else {
        const { maxObjectBytes } = limits;
        await receiveObject(exchange, place, { sizeBytes: caller.grant?.sizeBytes, maxObjectBytes });
      }
      return;
    }
    case "lfs-verify":
      await verifyObject(exchange, { root, folder }, caller.grant?.oid);
      return;
    case "lfs-locks":
      throw new Refusal(404, "there are no locks here");
  }
}

/** A place is taken when the request is here: all of a fetch, the beginning of a push. */
async function answerGit(
  exchange: Exchange,
  { service, caller, folder }: Answering,
  route: Route & { readonly kind: "refs" | "service" },
): Promise<void> {
  const { request, response, peer } = exchange;
  const isPush = route.service === "git-receive-pack";
  const slots = isPush ? service.slots.push : service.slots.read;
  const { maxPushBytes: maxPackBytes } = service.limits;
  const left = new AbortController();
  response.once("close", () => {
    left.abort();
  });
  const serve = (body: AsyncIterable<Buffer> | undefined): Promise<void> =>
    slots.run(
      () =>
        serveGit(exchange, {
          ...{ folder, service: route.service, body, name: caller.name },
          ...{ maxPackBytes, running: service.running },
        }),
      { peer, left: left.signal },
    );
  if (route.kind === "refs") return serve(undefined);
  checkContentType(exchange, route.service);
  const maxBytes = isPush ? maxPackBytes + PUSH_MARGIN_BYTES : MAX_FETCH_REQUEST_BYTES;
  const memory = service.bodyMemory.open(peer);
  await withBody(request, { memory, maxBytes, isWhole: !isPush }, serve);
}

/** A grant opens one object of one repository in one direction, and nothing else. */
function checkGrant({ service, route, caller: { grant }, folder }: Answering): void {
  const operation =
    route.kind === "lfs-verify" || (route.kind === "lfs-object" && route.isUpload) ? "upload" : "download";
  const isFor =
    grant?.repository === path.relative(service.root, folder) &&
    grant.operation === operation &&
    (route.kind === "lfs-verify" || (route.kind === "lfs-object" && route.oid === grant.oid));
  if (!isFor) throw unauthorized("the grant is for something else");
}

function endpointOf({ request }: Exchange, { service, route }: Answering): string {
  const { host = "" } = request.headers;
  if (service.publicUrl === undefined && !/^[A-Za-z0-9.[\]:_-]{1,255}$/.test(host)) {
    throw new Refusal(400, "expected a Host header");
  }
  const base = service.publicUrl ?? `${service.isTls ? "https" : "http"}://${host}`;
  return `${base}/${route.repository.join("/")}/info/lfs`;
}
