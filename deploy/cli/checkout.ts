/** Where the command's own checkout is; relative paths in a config are relative to it. */
import path from 'node:path';

export const CHECKOUT_FOLDER = path.resolve(import.meta.dirname, '../..');
