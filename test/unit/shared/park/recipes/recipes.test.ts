/** Every recipe over a park in maps. */
import { ParkStoreChannel } from '../../../../../coordinator-server/park/park-store-channel.ts';
import { systemClock } from '../../../../../shared/clock.ts';
import { ParkClient } from '../../../../../shared/park/park-client.ts';
import { MemoryParkStore } from '../../../../support/memory-park-store.ts';
import { recipeConformance } from '../../../../support/recipe-conformance.ts';

recipeConformance('a park in maps', async () => {
  const store = new MemoryParkStore();
  const clients: ParkClient[] = [];
  const client = (name: string): ParkClient => {
    const made = new ParkClient({ channel: new ParkStoreChannel({ store }), name, sessionTtlMs: 10_000 });
    made.start();
    clients.push(made);
    return made;
  };
  let isOpen = true;
  // Without sockets nothing else keeps the process alive while it waits.
  const staying = (async () => {
    while (isOpen) await systemClock.sleep(20);
  })();
  const close = async (): Promise<void> => {
    isOpen = false;
    for (const one of clients) one.close();
    await staying;
  };
  return { client, close };
});
