/** Reads server-sent events, as far as the park sends them: one line of JSON each, with a kind and an id. */
export class EventReader {
  /** Id of the last event; '' before the first. */
  lastId = '';
  readonly #onEvent: (kind: string, data: unknown) => void;
  #text = '';

  constructor(onEvent: (kind: string, data: unknown) => void) {
    this.#onEvent = onEvent;
  }

  /** A new connection: half an event of the one before is none. */
  begin(): void {
    this.#text = '';
  }

  read(chunk: string): void {
    this.#text += chunk;
    for (let end = this.#text.indexOf('\n\n'); end >= 0; end = this.#text.indexOf('\n\n')) {
      const block = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + 2);
      this.#readBlock(block);
    }
  }

  #readBlock(block: string): void {
    const fields = new Map(block.split('\n').map((line) => fieldOf(line)));
    const id = fields.get('id');
    const data = fields.get('data');
    if (id !== undefined) this.lastId = id;
    if (data !== undefined) this.#onEvent(fields.get('event') ?? 'message', JSON.parse(data));
  }
}

function fieldOf(line: string): [name: string, value: string] {
  const colon = line.indexOf(':');
  return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')];
}
