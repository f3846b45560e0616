/** A plan as it is written to JSON and read again: the schema from which the types of plan.ts come. */
import * as z from "zod";
import type { DiagnosticCode } from "../diagnostics.ts";
import { ACTION_CLASSES, DATA_DISK_ACTIONS, MACHINE_ACTIONS, SEGMENT_ACTIONS } from "./action-kinds.ts";

export const PLAN_FORMAT = 1;

const MOST_ACTIONS = 200_000;
const LONGEST_STRING = 10_000;

const text = z.string().max(LONGEST_STRING);
const many = <Schema extends z.ZodType>(schema: Schema) => z.array(schema).max(MOST_ACTIONS).readonly();
const version = z.int().min(1).nullable();
const digest = z.string().regex(/^[0-9a-f]{64}$/, "expected a SHA-256 digest");
const bytes = z.int().min(0);
const absent = z.undefined().exactOptional();
/** Another release may know codes that this one does not. */
const code = z.custom<DiagnosticCode>(
  (value) => typeof value === "string" && /^[A-Z][A-Z0-9_]{0,60}$/.test(value),
  "expected an error code",
);

/** Why: the line of CVL, `AcmeOffice.cvl:7`, or the version step. */
const reason = z.object({ text, place: text.exactOptional() }).readonly();

const everyAction = {
  /** Stable within a plan: `replace w`, `create-segment external`. */
  id: text,
  class: z.enum(ACTION_CLASSES),
  reasons: many(reason),
  /** Ids of actions that must all be done before. */
  after: many(text),
  /** Of each list one action must be done before: a service with several providers, none of which is there yet. */
  afterAny: many(many(text)).exactOptional(),
};

const machineAction = z
  .object({
    ...everyAction,
    kind: z.enum(MACHINE_ACTIONS),
    component: text,
    /** `v1` → `v2` where a version step is behind it; null is a working tree, or no machine on that side. */
    versions: z.object({ from: version, to: version }).readonly().exactOptional(),
    /** Memory of the machine afterwards minus before, when it differs. */
    memoryBytesChange: z.int().exactOptional(),
    /** Interfaces that need an address, afterwards minus before, when it differs. */
    addressesChange: z.int().exactOptional(),
    segment: absent,
    device: absent,
  })
  .readonly();

const notOfAMachine = { versions: absent, memoryBytesChange: absent, addressesChange: absent };

const dataDiskAction = z
  .object({
    ...everyAction,
    ...notOfAMachine,
    kind: z.enum(DATA_DISK_ACTIONS),
    /** The machine that has the disk, or had it. */
    component: text,
    device: text,
    segment: absent,
  })
  .readonly();

const segmentAction = z
  .object({
    ...everyAction,
    ...notOfAMachine,
    kind: z.enum(SEGMENT_ACTIONS),
    segment: text,
    component: absent,
    device: absent,
  })
  .readonly();

export const actionSchema = z.discriminatedUnion("kind", [machineAction, dataDiskAction, segmentAction]);

export const forecastSchema = z
  .object({
    /** Bytes to fetch, from the indexes, by component; chunks the running version has are not counted. */
    fetchBytes: z.record(text, bytes).readonly(),
    fetchBytesTotal: bytes,
    /** Machines whose program disks must be fetched, how many bytes of them nobody counted. */
    fetchUnknown: many(text),
    /** Memory of all machines afterwards minus before. */
    memoryBytesChange: z.int(),
    addressesChange: z.int(),
    /** Machines out of service while the plan runs, with those that require what they alone provide. */
    outage: many(z.object({ component: text, dependents: many(text) }).readonly()),
  })
  .readonly();

export const warningSchema = z
  .object({
    component: text.optional(),
    message: text,
    /** Set where a plan without actions does not say that all is well: a host nobody can ask, a machine that stands still. */
    about: z.enum(["unseen", "paused"]).exactOptional(),
  })
  .readonly();

/** Worth knowing of these machines before they are there. */
const noteSchema = z.object({ components: many(text), message: text }).readonly();

/** Without its span, which points into files of the machine that made the plan. */
const refusalSchema = z
  .object({
    code,
    severity: z.enum(["error", "warning"]),
    message: text,
    hint: text.exactOptional(),
    component: text.optional(),
  })
  .readonly();

export const planSchema = z
  .object({
    format: z.literal(PLAN_FORMAT),
    appliance: text,
    class: z.enum(ACTION_CLASSES),
    /** In an order that respects `after` and `afterAny`. */
    actions: many(actionSchema),
    forecast: forecastSchema,
    warnings: many(warningSchema),
    /** Absent in what earlier releases wrote. */
    notes: many(noteSchema).exactOptional(),
    refusals: many(refusalSchema),
    /** SHA-256 over commits, tags, indexes and policy: CI can compute it. */
    inputDigest: digest,
    /** SHA-256 over that and the running state; undefined when no manager made the plan. */
    planDigest: digest.exactOptional(),
  })
  .readonly();
