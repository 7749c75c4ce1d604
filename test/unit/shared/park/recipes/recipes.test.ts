/** Every recipe over a park in maps. */
import { ParkStoreChannel } from '../../../../../coordinator-server/park/park-store-channel.ts';
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
  const close = async (): Promise<void> => {
    for (const one of clients) one.close();
  };
  return { client, close };
});
