import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  bucketOfHash,
  bucketOfKey,
  hashAsciiBytes,
  jdkStringHash,
  jdkUtf8Hash,
} from '../../../../shared/routing/jdk-hash.ts';
import recorded from '../../../support/jdk-hash/vectors.json' with { type: 'json' };

const INT32_MIN = -(2 ** 31);

describe('hashes as a JVM printed them', () => {
  test('the vectors hold what is hard: a few hundred keys, lone surrogates, the least integer, negative hashes', () => {
    const { vectors } = recorded;
    assert.ok(vectors.length > 300);
    assert.ok(vectors.filter(({ key }) => !key.isWellFormed()).length > 30);
    assert.ok(vectors.filter(({ string }) => string.hash === INT32_MIN).length >= 3);
    assert.ok(vectors.filter(({ string }) => string.hash < 0).length > 100);
    assert.ok(vectors.some(({ key }) => key === '') && vectors.some(({ key }) => key.length === 5000));
  });

  test('jdk-string hash and buckets equal every vector', () => {
    for (const { key, string } of recorded.vectors) {
      assert.equal(jdkStringHash(key), string.hash, JSON.stringify(key));
      const buckets = recorded.bucketCounts.map((count) => bucketOfKey(key, 'jdk-string', count));
      assert.deepEqual(buckets, string.buckets, JSON.stringify(key));
    }
  });

  test('jdk-utf8 hash and buckets equal every vector', () => {
    for (const { key, utf8 } of recorded.vectors) {
      assert.equal(jdkUtf8Hash(key), utf8.hash, JSON.stringify(key));
      const buckets = recorded.bucketCounts.map((count) => bucketOfKey(key, 'jdk-utf8', count));
      assert.deepEqual(buckets, utf8.buckets, JSON.stringify(key));
    }
  });
});

describe('hashes of any key', () => {
  test('both kinds and the byte form agree on ASCII, wherever the bytes stand', () => {
    const ascii = fc.string({ unit: 'binary-ascii', maxLength: 300 });
    fc.assert(
      fc.property(ascii, fc.nat(20), (key, offset) => {
        const bytes = Buffer.alloc(offset + key.length + 5, 0x7f);
        bytes.write(key, offset, 'latin1');
        assert.equal(hashAsciiBytes(bytes, offset, offset + key.length), jdkStringHash(key));
        assert.equal(jdkUtf8Hash(key), jdkStringHash(key));
      }),
    );
  });

  test('jdk-utf8 is the loop over the signed bytes that Node encodes, for every well-formed key', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (key) => {
        let expected = 0;
        for (const byte of new Int8Array(Buffer.from(key))) expected = (Math.imul(31, expected) + byte) | 0;
        assert.equal(jdkUtf8Hash(key), expected);
      }),
    );
  });

  test('jdk-utf8 hashes each lone surrogate as a question mark', () => {
    assert.equal(jdkUtf8Hash('a\ud800b\udc00\udc00\ud83d'), jdkUtf8Hash('a?b???'));
  });

  test('a bucket is a whole number below the count, for every hash', () => {
    const hash = fc.oneof(fc.constantFrom(INT32_MIN, 2 ** 31 - 1, 0, -1), fc.integer());
    fc.assert(
      fc.property(hash, fc.integer({ min: 1, max: 65_536 }), (value, buckets) => {
        const bucket = bucketOfHash(value, buckets);
        assert.ok(Number.isInteger(bucket) && bucket >= 0 && bucket < buckets && !Object.is(bucket, -0));
      }),
    );
  });
});
