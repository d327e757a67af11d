// Text that a job or a person wrote. It is shown as text and nothing else: React escapes it, and what
// could deceive the eye is made visible.

// What turns or hides text: bidi marks, embeddings, overrides, isolates; zero-width; separators.
const hidden = /[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;
// Control characters, but tab and line feed; the C1 set too.
const control = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

// visible returns text with control characters as their pictures (␛) and bidi controls by number.
export function visible(text: string): string {
  return text
    .replace(control, (c) => {
      const n = c.charCodeAt(0);
      if (n < 0x20) return String.fromCharCode(0x2400 + n);
      return n === 0x7f ? '␡' : `⟨${n.toString(16).toUpperCase().padStart(2, '0')}⟩`;
    })
    .replace(hidden, (c) => `⟨U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`);
}

export function Plain({ text, className }: { text: string; className?: string | undefined }) {
  return <bdi className={className}>{visible(text)}</bdi>;
}
