// Server stands for the daemon on the other side of fetch: what it answers, and when, is up to a test.
export class Server {
  feeds: { say: (text: string) => void; end: () => void; open: boolean; answer: (r: Response) => void }[] = [];
  told: unknown[] = [];
  mute = false; // a connection is taken, and nothing comes of it
  status = 200;
  watchStatus = 204;
  greets = false; // each connection begins with its hello

  fetch = (url: string, o: RequestInit): Promise<Response> =>
    new Promise((resolve, reject) => {
      o.signal?.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')));
      if (o.method === 'PUT') {
        this.told.push([url, JSON.parse(String(o.body))]);
        resolve(new Response(null, { status: this.watchStatus }));
        return;
      }
      let control!: ReadableStreamDefaultController<Uint8Array>;
      const body = new ReadableStream<Uint8Array>({ start: (c) => void (control = c) });
      const feed = {
        open: true,
        answer: resolve,
        say: (text: string) => control.enqueue(new TextEncoder().encode(text)),
        end: () => control.close(),
      };
      o.signal?.addEventListener('abort', () => {
        feed.open = false;
        control.error(new DOMException('aborted', 'AbortError'));
      });
      this.feeds.push(feed);
      if (this.greets) this.hello(this.feeds.length - 1);
      if (!this.mute) resolve(new Response(this.status === 200 ? body : null, { status: this.status }));
    });

  hello = (n: number) => this.feeds[n]?.say(`event: hello\ndata: {"feed":"f${n}","seq":1,"status":{}}\n\n`);
}
