/** Which connections are closed: of too many, and of those that are too slow. */
import { once } from "node:events";
import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { createPeers, type PeerLimits } from "../../src/serve/peers.ts";

const NEVER_MS = 3_600_000;
const LIMITS: PeerLimits = {
  ...{ maxConnections: 3, maxConnectionsPerAddress: 2 },
  ...{ leastBytesPerSecond: 1024, paceWindowMs: NEVER_MS, patienceMs: NEVER_MS },
  ...{ keepAliveTimeoutMs: NEVER_MS, headersTimeoutMs: NEVER_MS },
};

let ports = 0;

/** A socket that says it comes from there. */
function socketFrom(remoteAddress: string): Socket {
  ports += 1;
  return Object.defineProperties(new Socket(), {
    remoteAddress: { value: remoteAddress },
    remotePort: { value: ports },
  });
}

/** A request whose body has not ended. */
function exchangeOf(socket: Socket): {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
} {
  const request = new IncomingMessage(socket);
  return { request, response: new ServerResponse(request) };
}

t.test("an address is what one client gets", (t) => {
  const cases = {
    "one /64": ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:0db8:0001:0002::a"],
    "IPv4 over IPv6": ["10.0.0.1", "::ffff:10.0.0.1", "::FFFF:10.0.0.1"],
    "with a zone": ["fe80::1%eth0", "fe80::2%eth0", "fe80::3%eth1"],
  };
  for (const [what, addresses] of Object.entries(cases)) {
    const peers = createPeers({ ...LIMITS, maxConnections: 100 });
    const others = ["2001:db8:1:3::1", "::ffff:10.0.0.2", "10.0.0.3"].map(socketFrom);
    const sockets = addresses.map(socketFrom);
    for (const socket of [...others, ...sockets]) peers.admit(socket);
    t.same(
      sockets.map(({ destroyed }) => destroyed),
      [true, false, false],
      what,
    );
    t.notOk(others.some(({ destroyed }) => destroyed));
  }
  t.end();
});

t.test("of too many those are closed for which nothing is done, and then the new one", async (t) => {
  const peers = createPeers(LIMITS);
  const [busy, fresh, idle, one, two, three] = ["1", "2", "3", "4", "5", "6"].map((end) =>
    socketFrom(`10.0.0.${end}`),
  ) as [Socket, Socket, Socket, Socket, Socket, Socket];
  for (const socket of [busy, fresh, idle]) peers.admit(socket);
  const worked = exchangeOf(busy);
  worked.request.complete = true;
  peers.begin(worked);
  peers.begin(exchangeOf(fresh));
  peers.admit(one);
  t.ok(idle.destroyed, "the one without a request");
  idle.emit("close");
  peers.begin(exchangeOf(one));
  await sleep(1500);
  peers.admit(two);
  t.ok(fresh.destroyed, "then one that is waited for");
  fresh.emit("close");
  const last = exchangeOf(two);
  last.request.complete = true;
  peers.begin(last);
  const closed = once(one, "close");
  one.destroy();
  await closed;
  peers.admit(three);
  const third = exchangeOf(three);
  third.request.complete = true;
  peers.begin(third);
  const refused = socketFrom("10.0.0.7");
  peers.admit(refused);
  t.ok(refused.destroyed, "and where something is done for all, the new one");
  t.notOk(busy.destroyed || two.destroyed || three.destroyed);
  worked.response.emit("close");
  peers.admit(socketFrom("10.0.0.8"));
  t.ok(busy.destroyed, "also one whose request was answered");
});

t.test("who is slow is closed, but nobody for what the server did not do", async (t) => {
  const peers = createPeers({ ...LIMITS, paceWindowMs: 600 });
  const [slow, unread, answered] = ["1", "2", "3"].map((end) => socketFrom(`10.0.0.${end}`)) as [
    Socket,
    Socket,
    Socket,
  ];
  for (const socket of [slow, unread, answered]) peers.admit(socket);
  peers.begin(exchangeOf(slow));
  const waiting = exchangeOf(unread);
  waiting.request.push("what nobody has read yet");
  peers.begin(waiting);
  const worked = exchangeOf(answered);
  worked.request.complete = true;
  peers.begin(worked);
  const ended: string[] = [];
  const check = (): void => {
    peers.check((address) => ended.push(address));
  };
  check();
  t.same(ended, [], "nobody is slow at once");
  await sleep(1000);
  check();
  t.same(ended, [], "the server itself stood still");
  for (let turn = 0; turn < 2000 && ended.length === 0; turn += 1) {
    await sleep(20);
    check();
  }
  t.same(ended, ["10.0.0.1"]);
  t.ok(slow.destroyed && !unread.destroyed && !answered.destroyed);
});
