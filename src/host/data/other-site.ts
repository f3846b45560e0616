/** Data of another site is refused by its host, and by a manager that sees it before it asks the host. */
import { CollectiveError } from "../../errors.ts";
import { machineName } from "../../network/paths.ts";
import type { MachineId } from "../host.ts";

export function otherSiteError(data: {
  readonly owner: string;
  readonly site: string | null;
  readonly device: string;
  readonly machine: MachineId;
}): CollectiveError {
  const { owner, site, device, machine } = data;
  const other = site === null ? "and utility.yaml here has no `site:`" : `not to ${site}`;
  return new CollectiveError(
    "HOST_OTHER_SITE",
    `${device} of ${machineName(machine.component)} in ${machine.networkId} belongs to the site ${owner}, ${other}`,
    {
      data: { owner, site },
      hint: `work from that site's folder; where its utility.yaml was lost, \`site: ${owner}\` in the new one says that it is the same; nothing was changed`,
    },
  );
}
