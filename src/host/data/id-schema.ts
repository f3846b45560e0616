/** Fences and names, as they come over the wire. */
import * as z from "zod";
import { MAX_COMPONENT_PATH, MAX_NETWORK_ID } from "../../appliance/machine-limits.ts";

export const networkIdSchema = z
  .string()
  .regex(/^[a-z0-9-]+$/)
  .max(MAX_NETWORK_ID);

/** "" is a root that is a single machine. */
const component = z
  .string()
  .max(MAX_COMPONENT_PATH)
  .regex(/^([A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*)?$/);

export const machineIdSchema = z.object({ networkId: networkIdSchema, component });

export const siteSchema = z.string().regex(/^[0-9a-f]{12}$/);

export const fenceSchema = z.object({
  networkId: networkIdSchema,
  token: z.int().nonnegative(),
  site: siteSchema.optional(),
  command: z.string().max(200).optional(),
});
