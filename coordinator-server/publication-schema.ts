/** Shape of what a coordinator keeps on disk, checked when it comes back. */
import { z } from 'zod';
import {
  epochSchema,
  parsePublishedState,
  parseWith,
  routeEntrySchema,
  serverIdSchema,
} from '../shared/published-state-schema.ts';
import type { Publication } from './publication.ts';

const manifestsSchema = z.object({
  manifests: z.array(
    z.object({ serverId: serverIdSchema, version: z.string(), order: epochSchema, routes: z.array(routeEntrySchema) }),
  ),
});

/** @throws PlatformError CONFIG_INVALID that says where it does not fit */
export function parsePublication(value: unknown): Publication {
  const { manifests } = parseWith(manifestsSchema, value, 'a publication');
  return { state: parsePublishedState((value as { state: unknown }).state), manifests };
}
