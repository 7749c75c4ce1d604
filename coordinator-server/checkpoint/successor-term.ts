/** Asks the checkpointer, before a coordinator serves, whether it was promoted in the meantime. */
import http from 'node:http';
import { z } from 'zod';
import { checkSchema } from '../../shared/schema-check.ts';

const ANSWER_MS_MAX = 2_000;
const ANSWER_CHARS_MAX = 64 * 1024;
const statusSchema = z.object({ tier: z.literal('coordinator'), promoted: z.boolean(), term: z.int().min(0) });

/**
 * @param admin host:port of the checkpointer's admin listener
 * @returns the term it serves under; undefined when it was not promoted, or does not answer
 */
export function successorTerm(admin: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const request = http.get(`http://${admin}/-/status`, { agent: false, timeout: ANSWER_MS_MAX });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(undefined));
    request.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (text.length > ANSWER_CHARS_MAX) request.destroy();
      });
      response.on('close', () => resolve(termOf(text)));
    });
  });
}

function termOf(text: string): number | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = checkSchema(statusSchema, value);
  return parsed?.success === true && parsed.data.promoted ? parsed.data.term : undefined;
}
