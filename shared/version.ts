/** Version of this release, as package.json tells it. */
import packageJson from '../package.json' with { type: 'json' };

export const VERSION: string = packageJson.version;
