/**
 * From an account key to its hash and bucket, bit for bit as a JVM computes them, so that a cluster can take over
 * (or share) the data of a system that partitions by `String.hashCode()`.
 *
 * H1: every step stays a signed 32-bit integer that wraps around, as Java's `int` does.
 * A key is hashed as it is: never trimmed, folded or normalised.
 *
 * Source: java.lang.String#hashCode; vectors in test/support/jdk-hash.
 */

export type HashKind = 'jdk-string' | 'jdk-utf8';

/**
 * `key.hashCode()`: h = 31·h + unit, over UTF-16 code units.
 * @returns −2³¹ .. 2³¹−1
 */
export function jdkStringHash(key: string): number {
  let hash = 0;
  for (let index = 0; index < key.length; index += 1) hash = (Math.imul(31, hash) + key.charCodeAt(index)) | 0; // H1
  return hash;
}

/**
 * The same loop over the *signed* bytes of `key.getBytes(StandardCharsets.UTF_8)`. A surrogate without its partner
 * is one byte '?' there, not the three bytes of U+FFFD that Node's encoders write.
 * @returns −2³¹ .. 2³¹−1
 */
export function jdkUtf8Hash(key: string): number {
  let hash = 0;
  for (let index = 0; index < key.length; index += 1) {
    const unit = key.charCodeAt(index);
    if (unit < 0x80) {
      hash = hashOfByte(hash, unit);
    } else if (unit < 0x800) {
      hash = hashOfByte(hashOfByte(hash, 0xc0 | (unit >> 6)), continuation(unit));
    } else if (unit < 0xd800 || unit > 0xdfff) {
      hash = hashOfByte(hashOfByte(hashOfByte(hash, 0xe0 | (unit >> 12)), continuation(unit >> 6)), continuation(unit));
    } else if (isPair(unit, key.charCodeAt(index + 1))) {
      index += 1;
      const point = 0x10000 + ((unit - 0xd800) << 10) + (key.charCodeAt(index) - 0xdc00);
      hash = hashOfByte(hashOfByte(hash, 0xf0 | (point >> 18)), continuation(point >> 12));
      hash = hashOfByte(hashOfByte(hash, continuation(point >> 6)), continuation(point));
    } else {
      hash = hashOfByte(hash, 0x3f);
    }
  }
  return hash;
}

/** The hash of ASCII text, which both kinds agree on, from its bytes: no string is made. The caller vouches for ASCII. */
export function hashAsciiBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0;
  for (let index = start; index < end; index += 1) hash = (Math.imul(31, hash) + (bytes[index] as number)) | 0; // H1
  return hash;
}

/**
 * `Math.abs(hash % buckets)`: JavaScript's % keeps the sign of the left side, as Java's does.
 * @param buckets 1..65536
 * @returns 0..buckets−1
 */
export function bucketOfHash(hash: number, buckets: number): number {
  return Math.abs(hash % buckets);
}

export function hashOfKey(key: string, kind: HashKind): number {
  return kind === 'jdk-string' ? jdkStringHash(key) : jdkUtf8Hash(key);
}

/**
 * Bucket that owns an account key.
 * @param key 1..256 chars when it comes from a request; any string has a bucket
 * @param buckets 1..65536
 * @returns 0..buckets−1
 */
export function bucketOfKey(key: string, kind: HashKind, buckets: number): number {
  return bucketOfHash(hashOfKey(key, kind), buckets);
}

function hashOfByte(hash: number, byte: number): number {
  return (Math.imul(31, hash) + ((byte << 24) >> 24)) | 0; // H1
}

function continuation(bits: number): number {
  return 0x80 | (bits & 0x3f);
}

/** @param next NaN past the end of the key, which is no surrogate */
function isPair(unit: number, next: number): boolean {
  return unit < 0xdc00 && next >= 0xdc00 && next <= 0xdfff;
}
