// splitCommand cuts a command line into words as a POSIX shell would, without expanding anything.
export function splitCommand(text: string): { argv: string[]; error?: 'quote' | 'escape' } {
  const argv: string[] = [];
  let word = '';
  let inWord = false;
  let quote = '';
  for (let i = 0; i < text.length; i++) {
    const c = text.charAt(i);
    if (quote === "'") {
      if (c === "'") quote = '';
      else word += c;
    } else if (c === '\\' && (quote === '' || '"\\$`\n'.includes(text.charAt(i + 1)))) {
      if (i + 1 >= text.length) return { argv, error: 'escape' };
      i++;
      if (text.charAt(i) !== '\n') word += text.charAt(i);
      inWord = true;
    } else if (quote === '"') {
      if (c === '"') quote = '';
      else word += c;
    } else if (c === '"' || c === "'") {
      quote = c;
      inWord = true;
    } else if (/\s/.test(c)) {
      if (inWord) argv.push(word);
      word = '';
      inWord = false;
    } else {
      word += c;
      inWord = true;
    }
  }
  if (quote) return { argv, error: 'quote' };
  if (inWord) argv.push(word);
  return { argv };
}

// shellSigns are signs that a shell would act on and a plain command would not.
export function shellSigns(text: string): boolean {
  return /[|&;<>`]|\$[({\w]|(^|\s)~|[*?]/.test(text.replace(/'[^']*'/g, ''));
}

// parseEnv reads lines of NAME=value; it returns the numbers of the lines that are none.
export function parseEnv(text: string): { env: Record<string, string>; wrong: number[] } {
  const env: Record<string, string> = {};
  const wrong: number[] = [];
  text.split('\n').forEach((line, i) => {
    if (line.trim() === '') return;
    const m = /^\s*([^=\s]+)=(.*)$/.exec(line);
    if (m?.[1] !== undefined) env[m[1]] = m[2] ?? '';
    else wrong.push(i + 1);
  });
  return { env, wrong };
}

// seconds reads a duration: 90, 90s, 5m, 1.5h, 1h30m. It returns undefined for what is none.
export function seconds(text: string): number | undefined {
  const s = text.trim().toLowerCase();
  if (s === '') return 0;
  if (/^\d+(\.\d+)?$/.test(s)) return Number(s);
  if (!/^(\d+(\.\d+)?[smhd])+$/.test(s)) return undefined;
  const unit: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
  return [...s.matchAll(/(\d+(?:\.\d+)?)([smhd])/g)].reduce((sum, m) => sum + Number(m[1]) * (unit[m[2] ?? 's'] ?? 1), 0);
}
