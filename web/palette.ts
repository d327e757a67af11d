// The 256 colours of terminals as classes f0–f255 and b0–b255. The first sixteen are the theme's own;
// of the others those too near to the background are drawn toward its opposite.
const level = [0, 95, 135, 175, 215, 255];

function rgb(n: number): [number, number, number] {
  if (n >= 232) {
    const v = 8 + (n - 232) * 10;
    return [v, v, v];
  }
  const i = n - 16;
  return [level[Math.floor(i / 36)] ?? 0, level[Math.floor(i / 6) % 6] ?? 0, level[i % 6] ?? 0];
}

const light = ['#1f2328', '#b3261e', '#1a7f37', '#7d5a00', '#0a53be', '#8a3ab9', '#0f6f7c', '#57606a', '#57606a', '#c5221f', '#187b36', '#805600', '#1a5fd0', '#9a3fc7', '#0b7285', '#24292f'];
const dark = ['#6e7681', '#ff8078', '#63c98a', '#e0b341', '#79b0ff', '#d2a1ff', '#5fd0dc', '#c9d1d9', '#8b949e', '#ffa39c', '#7ee2a8', '#f0cd6b', '#a5cbff', '#e2c0ff', '#8ae6f0', '#ffffff'];

// readable is a colour as text: mixed with ink until it stands out from the log's background.
function readable([r, g, b]: [number, number, number], dark: boolean): string {
  const lum = (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
  const weak = dark ? Math.max(0, 0.42 - lum) / 0.42 : Math.max(0, lum - 0.42) / 0.58;
  const to = dark ? 255 : 0;
  const mix = (v: number) => Math.round(v + (to - v) * Math.min(0.75, weak * 0.8));
  return `rgb(${mix(r)} ${mix(g)} ${mix(b)})`;
}

export function palette(): string {
  const out: string[] = [];
  for (const [scheme, base] of [['light', light], ['dark', dark]] as const) {
    const root = `[data-mantine-color-scheme=${scheme}] `;
    base.forEach((c, n) => out.push(`${root}.f${n}{color:${c}}`, `${root}.b${n}{background:${c}}`));
    for (let n = 16; n < 256; n++) out.push(`${root}.f${n}{color:${readable(rgb(n), scheme === 'dark')}}`);
  }
  for (let n = 16; n < 256; n++) out.push(`.b${n}{background:rgb(${rgb(n).join(' ')})}`);
  return out.join('\n');
}
