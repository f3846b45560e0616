/** Fences and names, as they come over the wire. */
import { z } from "zod";

export const networkIdSchema = z.string().regex(/^[a-z0-9-]{1,36}$/);

/** "" is a root that is a single machine. */
const component = z
  .string()
  .max(160)
  .regex(/^([A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*)?$/);

export const machineIdSchema = z.object({ networkId: networkIdSchema, component });

export const siteSchema = z.string().regex(/^[0-9a-f]{12}$/);

export const fenceSchema = z.object({
  networkId: networkIdSchema,
  token: z.int().nonnegative(),
  site: siteSchema.optional(),
  command: z.string().max(200).optional(),
});
