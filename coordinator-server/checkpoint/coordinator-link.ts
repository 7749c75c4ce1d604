/** The checkpointer's link to its coordinator, and questions on it: one at a time. */
import { type Clock, systemClock } from '../../shared/clock.ts';
import { readErrorPayload } from '../../shared/error-payload.ts';
import { errorCodeOfWire, PlatformError } from '../../shared/errors.ts';
import { FRAME_HEAD_BYTES, FRAME_TYPE } from '../../shared/link/frame.ts';
import type { LinkIdentity } from '../../shared/link/greeting.ts';
import { LinkDialer } from '../../shared/link/link-dialer.ts';
import type { LinkSettings } from '../../shared/link/link-settings.ts';
import type { Logger } from '../../shared/log.ts';
import {
  type FeedAnswer,
  type FeedMessage,
  type FeedRequest,
  readFeedAnswer,
  writeFeedPayload,
} from './feed-messages.ts';

/** Longer than a coordinator waits for records, and than its disk takes for a snapshot's last part. */
const ANSWER_MS_MAX = 30_000;

export interface CoordinatorLinkOptions {
  readonly address: string;
  readonly identity: LinkIdentity;
  readonly settings: LinkSettings;
  readonly log: Logger;
  readonly clock?: Clock | undefined;
}

export class CoordinatorLink {
  readonly #dialer: LinkDialer;
  readonly #clock: Clock;

  constructor({ address, identity, settings, log, clock = systemClock }: CoordinatorLinkOptions) {
    this.#clock = clock;
    this.#dialer = new LinkDialer({ address, identity, settings, log, clock, expectRole: 'coordinator', handlers: {} });
  }

  get connected(): boolean {
    return this.#dialer.link !== undefined;
  }

  start(): void {
    this.#dialer.start();
  }

  /** @throws PlatformError NO_COORDINATOR; what the coordinator refused with */
  ask(request: FeedRequest, bytes?: Uint8Array): Promise<FeedMessage<FeedAnswer>> {
    const link = this.#dialer.link;
    if (link === undefined || !link.writable)
      return Promise.reject(
        new PlatformError(
          'NO_COORDINATOR',
          `no link to the coordinator: ${this.#dialer.lastRefusal || 'not connected yet'}`,
        ),
      );
    return new Promise((resolve, reject) => {
      const late = this.#clock.after(ANSWER_MS_MAX, () => {
        link.cancelStream(streamId);
        reject(new PlatformError('NO_COORDINATOR', `the coordinator did not answer within ${ANSWER_MS_MAX} ms`));
      });
      const settled = (): void => late.cancel();
      const streamId = link.openStream({
        onReply: (message, start, end) => {
          settled();
          try {
            resolve(readFeedAnswer(message, start, end));
          } catch (thrown) {
            reject(thrown);
          }
        },
        onError: (message, start, end) => {
          settled();
          const { detail } = readErrorPayload(message.toString('utf8', start + FRAME_HEAD_BYTES, end));
          reject(
            new PlatformError(errorCodeOfWire(message.readUInt16LE(start + 6)), detail ?? 'the coordinator refused'),
          );
        },
        onLost: (reason) => {
          settled();
          reject(reason);
        },
      });
      const { writer } = link;
      writer.reserve(FRAME_HEAD_BYTES);
      writer.beginFrame(FRAME_TYPE.REQUEST, 0, 0, streamId, 0);
      writeFeedPayload(writer, request, bytes === undefined ? [] : [bytes]);
      link.endStreamFrame();
    });
  }

  close(): void {
    this.#dialer.close();
  }
}
