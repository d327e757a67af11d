// SseParser turns pieces of a text/event-stream into events. Comments (heartbeats) call beat.
export class SseParser {
  private rest = '';
  private name = '';
  private data: string[] = [];

  constructor(
    private readonly event: (name: string, data: string) => void,
    private readonly beat: () => void,
  ) {}

  push(text: string): void {
    this.beat();
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) this.line(line.endsWith('\r') ? line.slice(0, -1) : line);
  }

  private line(line: string): void {
    if (line === '') {
      if (this.data.length > 0) this.event(this.name || 'message', this.data.join('\n'));
      this.name = '';
      this.data = [];
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.name = value;
    else if (field === 'data') this.data.push(value);
  }
}
