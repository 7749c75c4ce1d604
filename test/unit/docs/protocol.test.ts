/** PROTOCOL.md says what the code does: its tables against the code's constants, its byte tables against real frames. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as constants from '../../../shared/constants.ts';
import { TOPIC } from '../../../shared/coordination-messages.ts';
import { REACH_TOPIC } from '../../../shared/dispatcher-messages.ts';
import { REPLY_HEAD_BYTES, REQUEST_HEAD_BYTES, writeReply, writeRequest } from '../../../shared/envelope.ts';
import { ERROR_KINDS } from '../../../shared/errors.ts';
import { FRAME_HEAD_BYTES, FRAME_TYPE, FrameWriter, PROTOCOL_VERSION } from '../../../shared/link/frame.ts';
import { type Hello, helloOf, type LinkRole, proofOf } from '../../../shared/link/greeting.ts';
import { LINK_PATH } from '../../../shared/link/link-transport.ts';
import { amountOf, readDocument, sectionOf, tableOf } from '../../support/markdown.ts';

const text = readDocument('PROTOCOL.md');

describe('PROTOCOL.md in step with the code', () => {
  test('version and path', () => {
    assert.match(text, new RegExp(`^Protocol version: \\*\\*${PROTOCOL_VERSION}\\*\\*$`, 'm'));
    assert.ok(text.includes(`\`${LINK_PATH}\``));
  });

  test('frame types', () => {
    const documented = tableOf(text, ['type', 'name', 'payload']).map(([type, name]) => [name, Number(type)]);
    assert.deepEqual(Object.fromEntries(documented), FRAME_TYPE);
  });

  test('errors', () => {
    const documented = tableOf(text, ['number', 'code', 'HTTP status']).map(([wire, code, status, again]) => [
      code,
      { wire: Number(wire), status: Number(status), retryable: again === 'yes' },
    ]);
    const known = Object.entries(ERROR_KINDS).map(([code, { wire, status, retryable }]) => [
      code,
      { wire, status, retryable },
    ]);
    assert.deepEqual(Object.fromEntries(documented), Object.fromEntries(known));
  });

  test('limits', () => {
    const documented = tableOf(text, ['name', 'value', 'past it']).map(([name, value]) => [
      name,
      amountOf(value ?? ''),
    ]);
    assert.deepEqual(Object.fromEntries(documented), { ...constants });
  });

  test('notice topics', () => {
    const documented = tableOf(text, ['topic', 'from → to']).map(([topic]) => topic);
    assert.deepEqual(documented.toSorted(), [...Object.values(TOPIC), REACH_TOPIC].toSorted());
  });

  test('codes that the text names exist', () => {
    const named = [...text.matchAll(/`((?:LINK|WRONG|BUCKET|VIEW|NO|NOT|QUEUE|STORE)_[A-Z_]+)`/g)].map(
      (match) => match[1] ?? '',
    );
    assert.ok(named.length > 30);
    for (const code of named) assert.ok(code in ERROR_KINDS, code);
  });
});

test('the worked proof is what a server computes', () => {
  const part = new Map(tableOf(text, ['part', 'value']).map(([name = '', value = '']) => [name, value]));
  const helloOfPart = (name: string): Hello => {
    const [cluster = '', role = '', serverId = '', incarnation = '', nonce = ''] = (part.get(name) ?? '').split(' ');
    return helloOf({ cluster, token: '', role: role as LinkRole, serverId, incarnation }, nonce, 1024);
  };
  const [dialer, listener, token] = [helloOfPart('dialer'), helloOfPart('listener'), part.get('token') ?? ''];
  assert.equal(proofOf(token, 'listener', dialer, listener), part.get("listener's proof"));
  assert.equal(proofOf(token, 'dialer', dialer, listener), part.get("dialer's proof"));
});

/** Fields of a byte table with a fixed place, e.g. bucket → [36, 'u16']. */
function fixedFields(section: string): Map<string, readonly [offset: number, size: string]> {
  const rows = tableOf(sectionOf(text, section), ['offset', 'size', 'field']);
  return new Map(
    rows
      .filter(([offset]) => /^\d+$/.test(offset ?? ''))
      .map(([offset, size = '', field = '']) => [field, [Number(offset), size]]),
  );
}

function readField(frame: Buffer, [offset, size]: readonly [number, string]): number | string {
  if (size === 'u8') return frame.readUInt8(offset);
  if (size === 'u16') return frame.readUInt16LE(offset);
  if (size === 'u32') return frame.readUInt32LE(offset);
  return frame.toString('hex', offset, offset + Number.parseInt(size, 10));
}

function fieldsOf(frame: Buffer, section: string): Record<string, number | string> {
  const fields = [...fixedFields('### Head'), ...fixedFields(section)];
  return Object.fromEntries(fields.map(([name, place]) => [name, readField(frame, place)]));
}

describe('the byte tables describe the frames that are sent', () => {
  test('REQUEST', () => {
    const writer = new FrameWriter(1024);
    const body = Buffer.from('{"amount":5}');
    writeRequest(writer, 0x0001_0002, {
      requestClass: 1,
      remainingMs: 4321,
      incarnationHigh: 0x01020304,
      incarnationLow: 0x05060708,
      counter: 2 ** 32 + 9,
      attempt: 2,
      pathAccountKey: 'älice',
      method: 'POST',
      path: '/a/b',
      query: 'c=d',
      traceparent: '00-11111111111111111111111111111111-2222222222222222-01',
      headerBlock: 'accept:*/*\n',
      body,
      waitedMicros: 77,
    });
    writer.endFrame();
    const frame = Buffer.from(writer.packed());
    const { accountKey, ...fields } = fieldsOf(frame, '### REQUEST');
    assert.deepEqual(fields, {
      frameBytes: frame.length,
      type: FRAME_TYPE.REQUEST,
      flags: 1,
      code: 0,
      streamId: 0x0001_0002,
      amount: 4321,
      requestId: '01020304050607080000000100000009',
      bucketMapEpoch: 0,
      bucket: 0,
      attempt: 2,
      methodBytes: 4,
      accountKeyBytes: 6,
      targetBytes: 8,
      pathBytes: 4,
      traceparentBytes: 55,
      headerBytes: 11,
      waitedMicros: 77,
    });
    assert.notEqual(accountKey, undefined);
    const rest = `älicePOST/a/b?c=d00-11111111111111111111111111111111-2222222222222222-01accept:*/*\n${body}`;
    assert.equal(frame.toString('utf8', REQUEST_HEAD_BYTES), rest);
    assert.equal(fixedFields('### REQUEST').get('accountKey')?.[0], REQUEST_HEAD_BYTES);
  });

  test('REPLY', () => {
    const writer = new FrameWriter(1024);
    const reply = { status: 201, headers: 'content-type: text/plain\r\n', body: 'hello' };
    writeReply(writer, 5, reply, { queueMicros: 1, dispatchMicros: 2, handlerMicros: 3, dbMicros: 4 });
    writer.endFrame();
    const frame = Buffer.from(writer.packed());
    const { headers, ...fields } = fieldsOf(frame, '### REPLY');
    assert.deepEqual(fields, {
      frameBytes: frame.length,
      type: FRAME_TYPE.REPLY,
      flags: 0,
      code: 201,
      streamId: 5,
      amount: 0,
      queueMicros: 1,
      dispatchMicros: 2,
      handlerMicros: 3,
      dbMicros: 4,
      headerBytes: 26,
    });
    assert.notEqual(headers, undefined);
    assert.equal(frame.toString('latin1', REPLY_HEAD_BYTES), `${reply.headers}${reply.body}`);
    assert.equal(fixedFields('### REPLY').get('headers')?.[0], REPLY_HEAD_BYTES);
  });

  test('payloads begin behind the head', () => {
    assert.equal(FRAME_HEAD_BYTES, 16);
    assert.deepEqual(
      fixedFields('### PONG'),
      new Map([
        ['queueDepth', [16, 'u32']],
        ['inFlight', [20, 'u32']],
      ]),
    );
  });
});
