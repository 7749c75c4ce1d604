/** Peers that a test opens and loses at will, chosen in turn; it records how each request ended. */
import type { Peer, PeerPool } from '../../shared/balance/peer-pool.ts';
import type { Link } from '../../shared/link/link.ts';

export interface FakePeer {
  readonly id: string;
  /** Undefined once it is lost. */
  openLink: Link | undefined;
  /** Chosen while true. */
  working: boolean;
}

export class FakePool {
  readonly peers: FakePeer[] = [];
  /** `id ok` or `id failed` for every reply that counted as evidence. */
  readonly evidence: string[] = [];
  /** What each of them said about the peer's own latency. */
  readonly latenciesMs: (number | undefined)[] = [];
  /** Whether a request waits when no peer works. */
  awaitsPeer = false;
  #turn = -1;

  add(id: string, link: Link): FakePeer {
    const fake: FakePeer & { readonly link: Link | undefined } = {
      id,
      openLink: link,
      working: true,
      get link() {
        return this.openLink?.writable === true ? this.openLink : undefined;
      },
    };
    this.peers.push(fake);
    return fake;
  }

  /** What a pipeline takes it for. */
  get pool(): PeerPool {
    return this as unknown as PeerPool;
  }

  get working(): readonly Peer[] {
    return this.peers.filter(({ working }) => working) as unknown as Peer[];
  }

  choose(avoid?: Peer): Peer | undefined {
    const able = this.working.filter((peer) => peer.link !== undefined);
    const others = able.filter((peer) => peer !== avoid);
    const among = others.length > 0 ? others : able;
    this.#turn++;
    return among[this.#turn % Math.max(1, among.length)];
  }

  recordReply(peer: Peer, failed: boolean, latencyMs?: number): void {
    this.latenciesMs.push(latencyMs);
    this.evidence.push(`${peer.id} ${failed ? 'failed' : 'ok'}`);
  }
}
