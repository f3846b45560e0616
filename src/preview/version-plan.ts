/** What an update from one version of an appliance to another does to those who run it as it is. */
import { diffNetworks } from "../plan/diff-networks.ts";
import type { PlannedNetwork } from "../plan/markdown-model.ts";
import { renderMermaid } from "../plan/render-mermaid.ts";
import type { Mirrors } from "../appliance/mirrors.ts";
import type { DescribedNetwork } from "../site/describe-network.ts";
import { forecastFetch } from "./fetch-forecast.ts";

/** A CVL file of a version, and the network it describes. */
export interface FileNetwork {
  readonly file: string;
  readonly described: Pick<DescribedNetwork, "network">;
}

/** Of the files both versions have, where both can be described; what is required may be unset on either side. */
export async function planBetweenVersions(
  before: readonly FileNetwork[],
  after: readonly FileNetwork[],
  mirrors: Mirrors,
): Promise<readonly PlannedNetwork[]> {
  const planned: PlannedNetwork[] = [];
  for (const { file, described } of after) {
    const running = before.find((entry) => entry.file === file)?.described.network;
    const wanted = described.network;
    if (running === undefined || wanted === undefined) continue;
    const fetchBytes = await forecastFetch(running, wanted, mirrors);
    const plan = diffNetworks(running, wanted, { fetchBytes });
    planned.push({ file, plan, diagram: renderMermaid(wanted, plan) });
  }
  return planned;
}
