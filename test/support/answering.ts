/** The far end of a link played by a test: keeps the requests that come, and answers them when told to. */
import { type ReplyTimes, writeError, writeReply } from '../../shared/envelope.ts';
import { type ErrorCode, PlatformError } from '../../shared/errors.ts';
import type { Link, LinkHandlers } from '../../shared/link/link.ts';
import type { FrameInMessage } from './request-frame.ts';

export interface Taken extends FrameInMessage {
  readonly streamId: number;
}

const NO_TIMES: ReplyTimes = { queueMicros: 1, dispatchMicros: 2, handlerMicros: 3, dbMicros: 4 };

export class Answering {
  readonly taken: Taken[] = [];
  readonly cancelled: number[] = [];
  /** Answers given so far, errors included. */
  answers = 0;
  #link: Link | undefined;

  readonly handlers: LinkHandlers = {
    onRequest: (link, streamId, message, start, end) => {
      this.#link = link;
      this.taken.push({ streamId, message, start, end });
      link.releaseReceived(end - start);
    },
    onCancel: (_link, streamId) => void this.cancelled.push(streamId),
  };

  /** @param index of the request, in the order they came; negative from the end */
  reply(index: number, body: string, status = 200, headers = 'x-served-by: test\r\n', times = NO_TIMES): void {
    const { link, streamId } = this.#at(index);
    writeReply(link.writer, streamId, { status, headers, body }, times);
    link.endStreamFrame();
  }

  fail(index: number, code: ErrorCode, retryAfterMs = 0): void {
    const { link, streamId } = this.#at(index);
    writeError(
      link.writer,
      streamId,
      new PlatformError(code, `a test says ${code}`),
      { group: 'g1' },
      { retryAfterMs },
    );
    link.endStreamFrame();
  }

  /** A REPLY that ends in the middle of its head. */
  replyCutShort(index: number): void {
    const { link, streamId } = this.#at(index);
    link.writer.reserve(16);
    link.writer.beginFrame(4, 0, 200, streamId, 0);
    link.endStreamFrame();
  }

  #at(index: number): { link: Link; streamId: number } {
    const taken = this.taken.at(index);
    this.answers++;
    if (taken === undefined || this.#link === undefined) throw new Error(`expected a request ${index} to have come`);
    return { link: this.#link, streamId: taken.streamId };
  }
}
