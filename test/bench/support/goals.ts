/** What the figures should be, and whether they are: met or not met, never hidden. */
import { FIGURES, type FigureName, figureText, type Sample, type Series } from './figures.ts';
import { median } from './median.ts';

export interface Goal {
  readonly case: string;
  readonly figure: FigureName;
  /** Whose figure. */
  readonly of: string;
  /** The contestant it is compared with, in pairs: round by round. Without one the figure itself is judged. */
  readonly against?: string;
  /** Without a bound the comparison is shown, and nobody promised anything. */
  readonly bound?: { readonly atLeast: number } | { readonly atMost: number };
  /** Shown in README.md too. */
  readonly headline?: boolean;
}

/** A goal and what came of it; null where nothing was measured. */
export interface Verdict extends Goal {
  /** Median over the rounds. */
  readonly measured: number | null;
  readonly lowest: number | null;
  readonly highest: number | null;
  readonly verdict: 'met' | 'not met' | 'not measured' | 'no goal';
}

/** Two decimals: what is printed is what is judged. */
const RATIO_DIGITS = 2;

export function judge(goal: Goal, measured: readonly Series[]): Verdict {
  const values = valuesFor(goal, measured);
  if (values.length === 0) return { ...goal, measured: null, lowest: null, highest: null, verdict: 'not measured' };
  const shown = values.map((value) => Number(value.toFixed(digitsOf(goal))));
  // One figure by itself is the row's own; a comparison is the median of the pairs.
  const middle = Number(median(shown).toFixed(digitsOf(goal)));
  const range = { lowest: Math.min(...shown), highest: Math.max(...shown) };
  return { ...goal, measured: middle, ...range, verdict: verdictOf(goal.bound, middle) };
}

function verdictOf(bound: Goal['bound'], value: number): Verdict['verdict'] {
  if (bound === undefined) return 'no goal';
  const met = 'atLeast' in bound ? value >= bound.atLeast : value <= bound.atMost;
  return met ? 'met' : 'not met';
}

/** One a round: the figure, or its ratio to the other contestant's in the same round. */
function valuesFor(goal: Goal, measured: readonly Series[]): number[] {
  const samplesOf = (contestant: string): readonly Sample[] =>
    measured.find((series) => series.case === goal.case && series.contestant === contestant)?.samples ?? [];
  const others = goal.against === undefined ? undefined : samplesOf(goal.against);
  return samplesOf(goal.of).flatMap((sample, round) => {
    const own = sample[goal.figure];
    if (own === undefined) return [];
    if (others === undefined) return [own];
    const other = others[round]?.[goal.figure];
    return other === undefined ? [] : [own / other];
  });
}

function digitsOf(goal: Goal): number {
  return goal.against === undefined ? FIGURES[goal.figure].digits : RATIO_DIGITS;
}

/** e.g. `requests/s of Trunkline`, or `requests/s, Trunkline ÷ nginx → nginx`. */
export function goalText(goal: Goal): string {
  const { heading } = FIGURES[goal.figure];
  return goal.against === undefined ? `${heading} of ${goal.of}` : `${heading}, ${goal.of} ÷ ${goal.against}`;
}

/** e.g. `≥ 2.5`; '' without a bound. */
export function boundText({ bound }: Goal): string {
  if (bound === undefined) return '';
  return 'atLeast' in bound ? `≥ ${bound.atLeast}` : `≤ ${bound.atMost}`;
}

/** e.g. `2.61 (2.50 … 2.70)`. */
export function measuredText(verdict: Verdict): string {
  const { measured, lowest, highest } = verdict;
  if (measured === null || lowest === null || highest === null) return '';
  const text = (value: number): string =>
    verdict.against === undefined ? figureText(verdict.figure, value) : value.toFixed(RATIO_DIGITS);
  return lowest === highest ? text(measured) : `${text(measured)} (${text(lowest)} … ${text(highest)})`;
}
