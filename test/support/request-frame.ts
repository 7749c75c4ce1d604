/** REQUEST frames as an interface server writes them, for what stands behind it. */
import { type RequestFields, writeRequest } from '../../shared/envelope.ts';
import { FrameWriter } from '../../shared/link/frame.ts';

export interface FrameInMessage {
  readonly message: Buffer;
  readonly start: number;
  readonly end: number;
}

export type RequestParts = Partial<Omit<RequestFields, 'path' | 'query' | 'body'>> & {
  /** Path and query. */
  readonly target?: string;
  readonly streamId?: number;
  readonly body?: Uint8Array | string | null;
};

/** One REQUEST; what is not given is what the plainest request has. */
export function requestFrame(parts: RequestParts = {}): FrameInMessage {
  const { streamId = 1, body = null, target = '/echo', ...fields } = parts;
  const question = target.indexOf('?');
  const writer = new FrameWriter(256);
  writeRequest(writer, streamId, {
    requestClass: 0,
    remainingMs: 10_000,
    incarnationHigh: 1,
    incarnationLow: 2,
    counter: 3,
    attempt: 0,
    pathAccountKey: '',
    method: 'GET',
    path: question === -1 ? target : target.slice(0, question),
    query: question === -1 ? '' : target.slice(question + 1),
    traceparent: '',
    headerBlock: '',
    waitedMicros: 0,
    ...fields,
    body: typeof body === 'string' ? Buffer.from(body) : body,
  });
  writer.endFrame();
  return { message: Buffer.from(writer.packed()), start: 0, end: writer.at };
}
