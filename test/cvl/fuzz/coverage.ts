/** Which parts of src a text made run, and how often in powers of two: what a closed loop looks at. */
import { Session } from "node:inspector/promises";

export class Coverage {
  private readonly session = new Session();
  private readonly seen = new Set<string>();

  async start(): Promise<void> {
    this.session.connect();
    await this.session.post("Profiler.enable");
    await this.session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** What is measured afterwards is not slowed down by it. */
  async stop(): Promise<void> {
    await this.session.post("Profiler.stopPreciseCoverage");
    this.session.disconnect();
  }

  /** How many parts, or powers, are new since the last time. */
  async takeNew(): Promise<number> {
    const { result } = await this.session.post("Profiler.takePreciseCoverage");
    let count = 0;
    for (const { url, functions } of result) {
      if (!url.startsWith("file:") || url.includes("/node_modules/")) continue;
      for (const { ranges } of functions) {
        for (const { startOffset, endOffset, count: times } of ranges) {
          if (times === 0) continue;
          const key = `${url} ${startOffset} ${endOffset} ${Math.floor(Math.log2(times))}`;
          if (this.seen.has(key)) continue;
          this.seen.add(key);
          count += 1;
        }
      }
    }
    return count;
  }
}
