/** How a command ends when it does not end well: one clear message on standard error, one exit code. */
import { PlatformError } from '../../shared/errors.ts';

/** The command line, the config or a file is not what was expected. */
export const EXIT_USAGE = 2;
const EXIT_PORT_TAKEN = 3;
const EXIT_FAILED = 1;

export function exitCodeOf(error: unknown): number {
  if (!(error instanceof PlatformError)) return EXIT_FAILED;
  switch (error.code) {
    case 'USAGE':
    case 'CONFIG_INVALID':
    case 'CONFIG_MOVES_DATA':
    case 'SERVICE_INVALID':
    case 'SERVER_UNKNOWN':
      return EXIT_USAGE;
    case 'PORT_TAKEN':
      return EXIT_PORT_TAKEN;
    default:
      return EXIT_FAILED;
  }
}

/** A platform error in its own words; anything else is a defect, and its stack is what helps. */
export function messageOf(error: unknown): string {
  if (error instanceof PlatformError) return error.detail;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
