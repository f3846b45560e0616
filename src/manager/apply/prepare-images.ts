/** Program disks, kernels and initrds are on their hosts before anything is stopped. */
import { ACTION_KINDS } from "../../plan/action-kinds.ts";
import pLimit from "p-limit";
import type { ComponentPath } from "../../cvl/tree.ts";
import { CollectiveError, messageOf } from "../../errors.ts";
import type { Fence } from "../../host/host.ts";
import type { Decision } from "../change/decide.ts";
import type { MachineImage } from "../../appliance/machine-image.ts";
import type { ShareObjects } from "../../appliance/share-objects.ts";
import { isLocalUrl } from "../../git/url.ts";
import type { Progress } from "../change/progress.ts";
import { requireHost, type ObservedHosts } from "../observe/observe-hosts.ts";
import type { Timeline } from "../change/timeline.ts";
import { machineName } from "../../network/paths.ts";

const PARALLEL = 8;

/** Each image once a host, in parallel; the first failure is thrown when all have ended. */
export async function prepareImages(options: {
  readonly fence: Fence;
  readonly decision: Decision;
  readonly observedHosts: ObservedHosts;
  readonly timeline: Timeline;
  readonly progress: Progress;
  readonly shareObjects?: ShareObjects | undefined;
}): Promise<void> {
  const { decision, observedHosts, timeline, progress } = options;
  const limit = pLimit(PARALLEL);
  const wanted = new Map<string, () => Promise<void>>();
  for (const { component, kind } of decision.plan.actions) {
    const goal = component === undefined ? undefined : decision.goals.get(component);
    if (component === undefined || goal === undefined || ACTION_KINDS[kind].needsImage !== true) continue;
    const { image } = goal.incarnation.description;
    const key = `${goal.host}\0${image.digest}`;
    if (wanted.has(key)) continue;
    wanted.set(key, async () => {
      const host = requireHost(observedHosts, goal.host, `${machineName(component)} belongs on ${goal.host}`);
      const id = `prepare ${component}`;
      progress.begin(id, `prepare the image of ${machineName(component)} on ${goal.host}`);
      try {
        await timeline.measure(`share ${component}`, () => shareFirst(options, { host: goal.host, image }));
        const { fetchedBytes } = await timeline.measure(id, () => host.prepareImage(options.fence, image));
        progress.end(
          id,
          fetchedBytes === 0 ? "already there" : `${(fetchedBytes / 1024 ** 2).toFixed(1)} MiB fetched`,
        );
      } catch (error) {
        progress.fail(id, messageOf(error));
        throw whereItFailed(error, component, goal.host);
      }
    });
  }
  const results = await Promise.allSettled([...wanted.values()].map((work) => limit(work)));
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

/**
 * A host on this machine reads the mirrors the manager fills, so that one without a network of its own, as in a lab, has what
 * it needs. What lies in a folder, or cannot be fetched here, the host reads by itself: its error is the one that counts.
 */
async function shareFirst(
  {
    observedHosts,
    shareObjects,
  }: { readonly observedHosts: ObservedHosts; readonly shareObjects?: ShareObjects | undefined },
  { host, image }: { readonly host: string; readonly image: MachineImage },
): Promise<void> {
  const reached = observedHosts.reached.get(host);
  if (shareObjects === undefined || reached?.entry.address.startsWith("unix:") !== true) return;
  if (isLocalUrl(image.source.url)) return;
  const isThere = image.programDisks.every(({ indexDigest }) =>
    reached.inventory.images.includes(indexDigest),
  );
  if (!isThere) await shareObjects(image).catch(() => undefined);
}

/** A host speaks of "this host", a store of a pack: neither knows for whom. */
function whereItFailed(error: unknown, component: ComponentPath, host: string): unknown {
  if (!(error instanceof CollectiveError)) return error;
  const message = `${machineName(component)} cannot be prepared on ${host}: ${error.message}`;
  const { code, data, hint } = error;
  return new CollectiveError(code, message, {
    data: { ...data, component, host },
    cause: error,
    ...(hint === undefined ? {} : { hint }),
  });
}
