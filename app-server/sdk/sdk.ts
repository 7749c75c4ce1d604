/**
 * What a service imports, as `#sdk`: the only door from services into the platform.
 *
 * ```ts
 * import { defineService, problem, route, z } from '#sdk';
 *
 * export const service = defineService({
 *   name: 'greeting',
 *   schema: ['CREATE TABLE IF NOT EXISTS greetings (account VARCHAR(256) NOT NULL PRIMARY KEY, words VARCHAR(200))'],
 *   routes: [
 *     route({
 *       method: 'GET',
 *       path: '/greetings/:account',
 *       reply: z.object({ words: z.string() }),
 *       async handler(ctx) {
 *         const [row] = await ctx.db.read('SELECT words FROM greetings WHERE account = ?', [ctx.account]);
 *         if (row === undefined) throw problem(404, 'no-greeting', 'No greeting', `PUT one for '${ctx.account}' first`);
 *         return { words: String(row.words) };
 *       },
 *     }),
 *   ],
 * });
 * ```
 */

// biome-ignore-all lint/performance/noBarrelFile: a service imports one thing, and this is it
export { z } from 'zod';
export type { Fence, Row, SqlValue, WriteTransaction } from '../../db/replicated-store.ts';
export type {
  CreateOptions,
  Park,
  ParkChange,
  ParkEntry,
  ParkSession,
  ParkWatch,
  Transaction,
  TransactionWrite,
  WatchOptions,
  Written,
} from '../../shared/park/park.ts';
export type { Access, DomainSummary } from '../../shared/park/park-model.ts';
export { Barrier } from '../../shared/park/recipes/barrier.ts';
export type { WaitOptions } from '../../shared/park/recipes/bounded-wait.ts';
export { type ConfigOptions, ConfigValue } from '../../shared/park/recipes/config-value.ts';
export { type Leader, LeaderElection } from '../../shared/park/recipes/leader-election.ts';
export { type Member, Membership, type Seat } from '../../shared/park/recipes/membership.ts';
export type { ParkHold } from '../../shared/park/recipes/park-hold.ts';
export { type FencedHold, ParkLock } from '../../shared/park/recipes/park-lock.ts';
export { ReadWriteLock } from '../../shared/park/recipes/read-write-lock.ts';
export { Semaphore } from '../../shared/park/recipes/semaphore.ts';
export type { Context, ServiceDatabase, WriteOptions } from './context.ts';
export { integerText } from './integer-text.ts';
export { problem } from './problem.ts';
export type { RawReply, Reply } from './reply.ts';
export { rawReply, reply } from './reply.ts';
export type { ReplyHeaders } from './reply-headers.ts';
export type {
  HandlerResult,
  QueryValues,
  RouteDefinition,
  RouteInput,
  ServiceDefinition,
} from './service-definition.ts';
export { defineService, route } from './service-definition.ts';
