import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import { HandlerRegistry } from '../../../../../app-server/handler-registry.ts';
import { loadServices } from '../../../../../app-server/service-loader.ts';
import { HandlerBench } from '../../../../support/handler-bench.ts';
import { MemoryStore } from '../../../../support/memory-store.ts';

describe('the greeting example', () => {
  it('loads from its folder and keeps a greeting', async () => {
    const services = await loadServices(
      ['deploy/examples/greeting'],
      path.resolve(import.meta.dirname, '../../../../..'),
    );
    const store = new MemoryStore(new HandlerRegistry(services).schema);
    const bench = new HandlerBench(services, { store });
    const answers = [
      await bench.json('GET', '/greetings/alice'),
      await bench.json('PUT', '/greetings/alice', { body: { words: 'hello' } }),
      await bench.json('PUT', '/greetings/alice', { body: { words: 'good morning' } }),
      await bench.json('GET', '/greetings/alice'),
      await bench.json('PUT', '/greetings/alice', { body: { words: '' } }),
    ];
    store.close();
    assert.deepEqual(
      answers.map(({ status }) => status),
      [404, 200, 200, 200, 400],
    );
    assert.deepEqual(answers[3]?.value, { words: 'good morning' });
  });
});
