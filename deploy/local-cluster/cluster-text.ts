/** What `trunkline up` prints once: the servers in a table, three things to try, where the logs are. */

export interface TableRow {
  readonly serverId: string;
  readonly tier: string;
  readonly group: string;
  readonly listen: string;
  readonly admin: string;
  readonly state: string;
}

const HEADINGS = ['server', 'tier', 'group', 'listens on', 'admin', 'state'];

/** Columns as wide as their longest cell, two spaces apart. */
export function tableText(rows: readonly TableRow[]): string {
  const cells = rows.map((row) => [row.serverId, row.tier, row.group, row.listen, row.admin, row.state]);
  const lines = [HEADINGS, ...cells];
  const widths = HEADINGS.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) => `  ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd())
    .join('\n');
}

/** @param address of an interface server, host:port */
export function thingsToTry(address: string): string {
  const base = address.replace(/^(127\.0\.0\.1|0\.0\.0\.0|\[::\]|\[::1\]):/, 'localhost:');
  return [
    `  curl -X PUT --json '{}' ${base}/accounts/alice`,
    `  curl --json '{"amount":5}' ${base}/accounts/alice/deposits`,
    `  curl -i ${base}/-/ready`,
  ].join('\n');
}
