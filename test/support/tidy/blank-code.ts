/**
 * Blanks what is not code, keeping every line where it was, so that a rule about code is not misled by a comment or a
 * string that mentions what is forbidden. A small scanner: it knows strings, templates, comments and regular expressions.
 */

export function blankComments(text: string): string {
  return scan(text, false);
}

export function blankCommentsAndStrings(text: string): string {
  return scan(text, true);
}

/** A '/' after one of these begins a regular expression; after a name, a number or a bracket it divides. */
const BEFORE_REGEXP = /(^|[=([,:;!&|?{}+*%~^<>-]|\b(return|typeof|case|of|in|void|await))\s*$/;

const PIECES = [
  { kind: 'comment', pattern: /\/\*[\s\S]*?\*\/|\/\/[^\n]*/y },
  { kind: 'string', pattern: /'(?:[^'\\\n]|\\[\s\S])*'|"(?:[^"\\\n]|\\[\s\S])*"/y },
  { kind: 'regexp', pattern: /\/(?![*/])(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y },
] as const;

function scan(text: string, alsoStrings: boolean): string {
  let out = '';
  let at = 0;
  while (at < text.length) {
    if (text[at] === '`') {
      const end = templateEnd(text, at);
      out += alsoStrings ? blankTemplate(text.slice(at, end)) : text.slice(at, end);
      at = end;
      continue;
    }
    const piece = pieceAt(text, at, out);
    if (piece === undefined) {
      out += text[at];
      at += 1;
    } else {
      const keep = piece.kind !== 'comment' && !alsoStrings;
      out += keep ? piece.text : blank(piece.text, piece.kind === 'comment' ? 0 : 1);
      at += piece.text.length;
    }
  }
  return out;
}

function pieceAt(
  text: string,
  at: number,
  before: string,
): { kind: 'comment' | 'string' | 'regexp'; text: string } | undefined {
  for (const { kind, pattern } of PIECES) {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match === null) continue;
    if (kind === 'regexp' && !BEFORE_REGEXP.test(before.slice(-40))) continue;
    return { kind, text: match[0] };
  }
  return undefined;
}

/** Spaces for all but line ends and the first and last `edge` characters. */
function blank(text: string, edge: number): string {
  const inside = text.slice(edge, text.length - edge).replace(/[^\n]/g, ' ');
  return text.slice(0, edge) + inside + text.slice(text.length - edge);
}

/** @returns index after the template that begins at `from`, its `${…}` included */
function templateEnd(text: string, from: number): number {
  let depth = 0;
  for (let at = from + 1; at < text.length; at += 1) {
    const char = text[at];
    if (char === '\\') at += 1;
    else if (depth === 0 && char === '`') return at + 1;
    else if (depth > 0 && char === '`') at = templateEnd(text, at) - 1;
    else if (char === '$' && depth === 0 && text[at + 1] === '{') depth = 1;
    else if (depth > 0 && char === '{' && text[at - 1] !== '$') depth += 1;
    else if (depth > 0 && char === '}') depth -= 1;
    if (depth === 1 && char === '$') at += 1;
  }
  return text.length;
}

/** Blanks the words of a template and keeps the code in its `${…}`. */
function blankTemplate(template: string): string {
  let out = '';
  let depth = 0;
  for (let at = 0; at < template.length; at += 1) {
    const char = template[at] ?? '';
    const opens = char === '$' && template[at + 1] === '{' && depth === 0;
    if (opens) depth = 1;
    else if (depth > 0 && char === '{' && template[at - 1] !== '$') depth += 1;
    const isCode = depth > 0;
    if (depth > 0 && char === '}') depth -= 1;
    out += isCode || char === '\n' || at === 0 || at === template.length - 1 ? char : ' ';
  }
  return out;
}
