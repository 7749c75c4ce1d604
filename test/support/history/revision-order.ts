/**
 * Revisions of the whole park against real time: what was answered before something else was called has the lower one,
 * and a read's is that of the write of its value.
 */
import type { NodeOperation } from './node-model.ts';

/** @param operations of any nodes @returns what is wrong, a sentence each */
export function revisionComplaints(operations: readonly NodeOperation[]): string[] {
  return [...orderComplaints(operations), ...originComplaints(operations)];
}

function orderComplaints(operations: readonly NodeOperation[]): string[] {
  const answered = operations.filter(({ answer }) => answer !== undefined);
  const byAnswer = answered.toSorted((a, b) => (a.answer?.atMs ?? 0) - (b.answer?.atMs ?? 0));
  const byCall = answered.toSorted((a, b) => a.calledAtMs - b.calledAtMs);
  const complaints: string[] = [];
  let newest = 0;
  let next = 0;
  for (const operation of byCall) {
    for (; next < byAnswer.length; next++) {
      const earlier = byAnswer[next] as NodeOperation;
      if ((earlier.answer?.atMs ?? 0) >= operation.calledAtMs) break;
      newest = Math.max(newest, writtenAs(earlier) ?? 0);
    }
    const revision = writtenAs(operation);
    if (revision !== undefined && revision <= newest)
      complaints.push(`${operation.client} wrote at revision ${revision} after ${newest} had been answered`);
  }
  return complaints;
}

function originComplaints(operations: readonly NodeOperation[]): string[] {
  const writtenBy = new Map<string, number>();
  for (const operation of operations) {
    const revision = writtenAs(operation);
    if (revision !== undefined && 'value' in operation.input) writtenBy.set(operation.input.value, revision);
  }
  const complaints: string[] = [];
  for (const { client, answer } of operations) {
    if (answer?.output.kind !== 'read') continue;
    const { value, revision } = answer.output;
    const written = writtenBy.get(value);
    if (written === undefined) writtenBy.set(value, revision);
    else if (written !== revision)
      complaints.push(`${client} read ${value} at revision ${revision}, elsewhere it is ${written}`);
  }
  return complaints;
}

function writtenAs({ answer }: NodeOperation): number | undefined {
  return answer?.output.kind === 'written' ? answer.output.revision : undefined;
}
