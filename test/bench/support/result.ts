/** What a run of one part leaves behind: `results/<part>-<date>.json`, and the same as Markdown. */
import fs from 'node:fs';
import path from 'node:path';
import { FIGURES, figureNamesOf, figureText, type Row } from './figures.ts';
import { boundText, goalText, measuredText, type Verdict } from './goals.ts';

export interface BenchResult {
  readonly part: string;
  /** ISO 8601. */
  readonly measuredAt: string;
  readonly machine: { readonly cpus: number; readonly model: string; readonly node: string };
  /** Program → version, of those that took part. */
  readonly peers: Readonly<Record<string, string>>;
  readonly rounds: number;
  readonly seconds: number;
  readonly rows: readonly Row[];
  readonly verdicts: readonly Verdict[];
  /** What was skipped, and what is not measured yet. */
  readonly notes: readonly string[];
}

export const RESULTS_FOLDER = path.resolve(import.meta.dirname, '../results');

/** @returns the file */
export function writeResult(result: BenchResult, folder: string = RESULTS_FOLDER): string {
  fs.mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `${result.part}-${result.measuredAt.slice(0, 10)}.json`);
  fs.writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
  return file;
}

/** The newest result of each part, by the part's name. */
export function newestResults(folder: string = RESULTS_FOLDER): BenchResult[] {
  const newest = new Map<string, BenchResult>();
  for (const name of fs.readdirSync(folder).filter((file) => file.endsWith('.json'))) {
    const result = JSON.parse(fs.readFileSync(path.join(folder, name), 'utf8')) as BenchResult;
    const other = newest.get(result.part);
    if (other === undefined || other.measuredAt < result.measuredAt) newest.set(result.part, result);
  }
  return [...newest.values()].sort((a, b) => a.part.localeCompare(b.part));
}

/** Figures, goals, notes, and where it was measured. */
export function resultMarkdown(result: BenchResult): string {
  const parts = [
    rowsMarkdown(result.rows),
    result.verdicts.length === 0 ? '' : verdictsMarkdown(result.verdicts),
    result.notes.map((note) => `- ${note}\n`).join(''),
    `${placeText(result)}\n`,
  ];
  return parts.filter((part) => part !== '').join('\n');
}

export function rowsMarkdown(rows: readonly Row[]): string {
  const names = figureNamesOf(rows.map(({ figures }) => figures));
  return table(
    ['case', '', ...names.map((name) => FIGURES[name].heading)],
    rows.map((row) => [row.case, row.contestant, ...names.map((name) => figureText(name, row.figures[name]))]),
  );
}

export function verdictsMarkdown(verdicts: readonly Verdict[]): string {
  return table(
    ['case', 'compared', 'measured (lowest … highest round)', 'goal', ''],
    verdicts.map((one) => [one.case, goalText(one), measuredText(one), boundText(one), verdictText(one)]),
  );
}

/** The goals that README.md shows, of all parts. */
export function headlinesMarkdown(results: readonly BenchResult[]): string {
  const headlines = results.flatMap(({ part, verdicts }) =>
    verdicts.filter(({ headline }) => headline === true).map((verdict) => ({ part, verdict })),
  );
  return table(
    ['part', 'case', 'compared', 'measured', 'goal', ''],
    headlines.map(({ part, verdict }) => [
      part,
      verdict.case,
      goalText(verdict),
      measuredText(verdict),
      boundText(verdict),
      verdictText(verdict),
    ]),
  );
}

function verdictText({ verdict }: Verdict): string {
  if (verdict === 'no goal') return '';
  return verdict === 'met' ? verdict : `**${verdict}**`;
}

/** e.g. `2026-11-20, AMD EPYC, 2 cores, Node 22.23.3, nginx 1.22.1; medians of 5 rounds of 4 s.` */
function placeText({ measuredAt, machine, peers, rounds, seconds }: BenchResult): string {
  const programs = Object.entries({ Node: machine.node.replace(/^v/, ''), ...peers });
  const facts = [measuredAt.slice(0, 10), machine.model, `${machine.cpus} cores`];
  return `${[...facts, ...programs.map(([name, version]) => `${name} ${version}`)].join(', ')}; medians of ${rounds} rounds of ${seconds} s.`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`.replaceAll('  ', ' ');
  return line(head) + line(head.map(() => '---')) + rows.map(line).join('');
}
