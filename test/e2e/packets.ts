/** Watches the machine's own interfaces for anything of a lab. */
import { spawn } from "node:child_process";
import { networkInterfaces } from "node:os";

/** Networks of a lab; what the machine itself has to do with such addresses is none of the lab's. */
function filter(): string {
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const others = own.map(({ address }) => ` and not host ${address}`).join("");
  return `(net 203.0.113.0/24 or net 10.0.100.0/22)${others}`;
}

/** Starts tcpdump on every interface of this network namespace; `stop` gives the packets seen. */
export function watchPackets(): { stop(): string[] } {
  const seen: string[] = [];
  const tcpdump = spawn("tcpdump", ["-i", "any", "-n", "-l", "-q", filter()], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  tcpdump.stdout.on("data", (data: Buffer) => seen.push(...data.toString().split("\n").filter(Boolean)));
  return {
    stop: () => {
      tcpdump.kill();
      return seen;
    },
  };
}
