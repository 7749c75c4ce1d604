import assert from 'node:assert/strict';
import { Readable, Writable } from 'node:stream';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { COMPLAINTS_MAX, LINE_BYTES_MAX, type LineProblems, routeLines } from '../../../../deploy/cli/route-lines.ts';

interface Outcome extends LineProblems {
  readonly out: string;
}

async function run(blocks: readonly (string | Uint8Array)[], highWaterMark = 16_384): Promise<Outcome> {
  const written: string[] = [];
  const output = new Writable({
    highWaterMark,
    decodeStrings: false,
    write(chunk, _encoding, done) {
      written.push(String(chunk));
      setImmediate(done);
    },
  });
  const input = Readable.from(blocks.map((block) => Buffer.from(block as string)));
  const problems = await routeLines(input, output, (key) => JSON.stringify({ key }));
  return { ...problems, out: written.join('') };
}

describe('route lines', () => {
  test('answers every line in order, however the input is cut into blocks', async () => {
    const keys = fc.array(
      fc.string({ unit: fc.constantFrom('a', 'é', '東', '😀', '\ud800', '\n', '"'), maxLength: 8 }),
      { maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(
        keys,
        fc.array(fc.nat(200), { maxLength: 6 }),
        fc.boolean(),
        async (list, cuts, endsWithNewline) => {
          const text = Buffer.from(
            list.map((key) => JSON.stringify(key)).join('\n') + (endsWithNewline && list.length > 0 ? '\n' : ''),
          );
          const edges = [0, ...cuts.map((cut) => Math.min(cut, text.length)).sort((a, b) => a - b), text.length];
          const blocks = edges.slice(1).map((edge, index) => text.subarray(edges[index], edge));
          const outcome = await run(blocks, 10);
          assert.deepEqual([outcome.count, outcome.lines], [0, []]);
          assert.equal(outcome.out, list.map((key) => `${JSON.stringify({ key })}\n`).join(''));
        },
      ),
      { numRuns: 100 },
    );
  });

  test('carries lone surrogates through as escapes', async () => {
    assert.equal((await run(['"a\\ud800"\n'])).out, '{"key":"a\\ud800"}\n');
  });

  test('names the line and the fault of what is no JSON string, and answers the others', async () => {
    const outcome = await run(['"a"\nnope\n5\n\n"unended\n["b"]\n"c"\r\n"d"']);
    assert.equal(outcome.out, '{"key":"a"}\n{"key":"c"}\n{"key":"d"}\n');
    assert.deepEqual(outcome.lines, [
      'line 2: expected a JSON string, came nope',
      'line 3: expected a JSON string, came 5',
      'line 4: expected a JSON string, came an empty line',
      'line 5: expected a JSON string, came "unended',
      'line 6: expected a JSON string, came ["b"]',
    ]);
  });

  test('refuses a line that is not UTF-8, alone', async () => {
    const outcome = await run([
      Buffer.concat([Buffer.from('"a"\n"'), Buffer.of(0xed, 0xa0, 0x80), Buffer.from('"\n"b"\n')]),
    ]);
    assert.equal(outcome.out, '{"key":"a"}\n{"key":"b"}\n');
    assert.match(
      outcome.lines.join(),
      /^line 2: expected UTF-8, came other bytes; write a lone surrogate as an escape/,
    );
  });

  test('refuses a line past the limit without keeping it, and goes on after it', async () => {
    const long = Array.from({ length: 20 }, () => Buffer.alloc(LINE_BYTES_MAX / 8, 0x61));
    const outcome = await run(['"a"\n"', ...long, '"\n"b"\nx\n']);
    assert.equal(outcome.out, '{"key":"a"}\n{"key":"b"}\n');
    assert.deepEqual(outcome.lines, [
      `line 2: expected at most ${LINE_BYTES_MAX} bytes, came more`,
      'line 4: expected a JSON string, came x',
    ]);
  });

  test('names the first faults and counts them all, cut short and without control characters', async () => {
    const outcome = await run([`\u001b[31m${'x'.repeat(500)}\n`.repeat(COMPLAINTS_MAX + 10)]);
    assert.deepEqual([outcome.count, outcome.lines.length], [COMPLAINTS_MAX + 10, COMPLAINTS_MAX]);
    assert.ok((outcome.lines[0]?.length ?? 0) < 150 && !outcome.lines[0]?.includes('\u001b'));
  });

  test('stops quietly when its reader is gone, and fails with any other fault of the output', async () => {
    const failing = (code: string): Writable =>
      new Writable({ write: (_chunk, _encoding, done) => done(Object.assign(new Error('broken'), { code })) });
    const endless = (): Readable =>
      Readable.from(
        (function* () {
          for (;;) yield Buffer.from('"a"\n');
        })(),
      );
    assert.equal((await routeLines(endless(), failing('EPIPE'), (key) => key)).count, 0);
    await assert.rejects(
      routeLines(endless(), failing('ENOSPC'), (key) => key),
      /broken/,
    );
  });
});
