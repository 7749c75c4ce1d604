/** Door to pino: JSON lines on standard output, one object a line, never a secret in it. */
import type { LoggerOptions as LoggerSettings, Logger as PinoLogger } from 'pino';
import { systemClock } from './clock.ts';
import { requirePackage } from './require-package.ts';

const { destination, pino, stdSerializers } = requirePackage('pino') as typeof import('pino');

export type Logger = PinoLogger;
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

export interface LoggerOptions {
  /** Named on every line; omitted for commands. */
  readonly serverId?: string;
  readonly tier?: string;
  readonly level?: LogLevel;
  /** Appended to. Default: standard output. */
  readonly file?: string;
}

/** Keys whose values are never written, wherever they stand in a logged object (two levels deep). */
const SECRET_KEYS = ['token', 'password', 'authorization', 'cookie', 'secret'];

export function createLogger(options: LoggerOptions = {}): Logger {
  const settings: LoggerSettings = {
    level: options.level ?? 'info',
    base: {
      ...(options.tier === undefined ? {} : { tier: options.tier }),
      ...(options.serverId === undefined ? {} : { server: options.serverId }),
    },
    redact: { paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]), censor: '[secret]' },
    timestamp: () => `,"time":"${new Date(systemClock.wallMs()).toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: stdSerializers.err },
  };
  // Each line is written before the call returns: the last words of a process that exits must not be lost.
  return pino(settings, destination({ dest: options.file ?? process.stdout.fd, sync: true }));
}

/** For tests and for parts that are handed no logger. */
export const silentLogger: Logger = pino({ level: 'silent' });
