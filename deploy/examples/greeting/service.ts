import { defineService, problem, route, z } from '#sdk';

const greeting = z.object({ words: z.string().min(1).max(200) });

export const service = defineService({
  name: 'greeting',
  schema: [
    `CREATE TABLE IF NOT EXISTS greetings (
      account VARCHAR(256) NOT NULL PRIMARY KEY,
      words VARCHAR(200) NOT NULL
    )`,
  ],
  routes: [
    route({
      method: 'GET',
      path: '/greetings/:account',
      reply: greeting,
      async handler(ctx) {
        const [row] = await ctx.db.read('SELECT words FROM greetings WHERE account = ?', [ctx.account]);
        if (row === undefined) throw problem(404, 'greeting-unknown', 'No greeting', 'PUT one first');
        return { words: String(row.words) };
      },
    }),
    route({
      method: 'PUT',
      path: '/greetings/:account',
      body: greeting,
      reply: greeting,
      async handler(ctx, { body }) {
        await ctx.db.write(async (tx) => {
          await tx.execute('REPLACE INTO greetings (account, words) VALUES (?, ?)', [ctx.account, body.words]);
        });
        return body;
      },
    }),
  ],
});
