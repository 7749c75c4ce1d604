import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readWrk } from '../../bench/support/wrk.ts';

const WELL = `Running 4s test @ http://127.0.0.1:8080
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.24ms  412.31us  11.02ms   88.20%
    Req/Sec    50.33k     2.10k   54.01k    72.50%
  Latency Distribution
     50%  980.00us
     75%    1.38ms
     90%    1.61ms
     99%    2.57ms
  200532 requests in 4.00s, 61.20MB read
Requests/sec:  50133.25
Transfer/sec:     15.30MB
`;

test("wrk's figures are read in one unit", () => {
  assert.deepEqual(readWrk(WELL), {
    requests: 200_532,
    requestsPerSecond: 50_133.25,
    p50Micros: 980,
    p99Micros: 2_570,
    failures: 0,
  });
  assert.equal(readWrk(WELL.replace('2.57ms', '1.20s')).p99Micros, 1_200_000);
  assert.equal(readWrk(WELL.replace('2.57ms', '1.50m')).p99Micros, 90_000_000);
});

test('refusals and broken connections are failures', () => {
  const bad = `${WELL}  Socket errors: connect 1, read 20, write 300, timeout 4000\n  Non-2xx or 3xx responses: 50000\n`;
  assert.equal(readWrk(bad).failures, 54_321);
});

test('a text without figures is no measurement', () => {
  assert.throws(() => readWrk('unable to connect to 127.0.0.1:1 Connection refused'), /wrk printed no/);
});
