import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useComputedColorScheme } from '@mantine/core';
import type { Stats } from '../api/types';
import { useI18n } from '../i18n';

interface Line {
  label: string;
  colour: string; // a variable of tokens.css
  values: (number | null)[];
  bars?: boolean;
  own?: number[]; // what the legend says, where values stand on others
}

const height = 110;
const token = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Chart draws lines over time. It is redrawn in place when the numbers change.
function Chart({ at, lines, format, label, summary }: { at: number[]; lines: Line[]; format: (n: number) => string; label: string; summary: string }) {
  const { f } = useI18n();
  const room = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot>(undefined);
  const scheme = useComputedColorScheme('light', { getInitialValueInEffect: false });
  const data: uPlot.AlignedData = [at, ...lines.map((l) => l.values)];
  const latest = useRef({ data, format, clock: f.clock, lines });
  latest.current = { data, format, clock: f.clock, lines };
  const names = lines.map((l) => l.label).join();

  useEffect(() => {
    const el = room.current;
    if (!el) return;
    const axis = { stroke: token('--ink-faint'), grid: { stroke: token('--line'), width: 1 }, ticks: { show: false }, font: `11px ${token('--font')}` };
    const u = new uPlot(
      {
        width: el.clientWidth,
        height,
        padding: [6, 16, 0, 0],
        cursor: { y: false, points: { size: 5 } },
        legend: { live: true },
        scales: {
          // The last bucket lies behind its time: room for it.
          x: { range: (u, min, max) => [min, max + ((u.data[0][1] ?? max) - (u.data[0][0] ?? max))] },
          y: { range: (_u, _min, max) => [0, max > 0 ? max * 1.1 : 1] },
        },
        axes: [
          { ...axis, space: 60, size: 22, values: (_u, ticks) => ticks.map((s) => latest.current.clock(s * 1000).slice(0, 5)) },
          { ...axis, size: 54, space: 30, values: (_u, ticks) => ticks.map((n) => latest.current.format(n)) },
        ],
        series: [
          { label: '\u00a0', value: (_u, s) => (s === null || s === undefined ? '' : latest.current.clock(s * 1000)) },
          ...lines.map((l, i): uPlot.Series => ({
            label: l.label,
            stroke: token(l.colour),
            width: 1.5,
            fill: l.bars ? token(l.colour) : `${token(l.colour)}22`,
            // A line needs two: fewer are seen as points.
            points: { show: (u, s) => !l.bars && (u.data[s] ?? []).filter((v) => v !== null).length < 3, size: 5 },
            spanGaps: true,
            ...(l.bars && uPlot.paths.bars ? { paths: uPlot.paths.bars({ size: [0.8, 12], align: 1 }), width: 0 } : {}),
            value: (_u, n, _s, at) => {
              const v = at === null ? null : (latest.current.lines[i]?.own?.[at] ?? n);
              return v === null || v === undefined ? '–' : latest.current.format(v);
            },
          })),
        ],
      },
      latest.current.data,
      el,
    );
    chart.current = u;
    const observer = new ResizeObserver(() => u.setSize({ width: el.clientWidth, height }));
    observer.observe(el);
    return () => {
      observer.disconnect();
      u.destroy();
      chart.current = undefined;
    };
    // A new language or scheme draws anew.
  }, [scheme, names]);

  useEffect(() => chart.current?.setData(data));
  return (
    <figure className="chart" aria-label={`${label}. ${summary}`} role="img">
      <div ref={room} aria-hidden="true" />
    </figure>
  );
}

const seconds = (iso: string) => Date.parse(iso) / 1000;

export function Throughput({ stats }: { stats: Stats }) {
  const { t, f } = useI18n();
  const rows = stats.throughput;
  // Bars stand on one another: each series is drawn with what is below it, the tallest first.
  const failed = rows.map((r) => r.failed);
  const stopped = rows.map((r) => r.failed + r.stopped);
  const all = rows.map((r) => r.failed + r.stopped + r.completed);
  const total = all.reduce((a, b) => a + b, 0);
  return (
    <Chart
      at={rows.map((r) => seconds(r.at))}
      lines={[
        { label: t('state.completed'), colour: '--s-completed', values: all, own: rows.map((r) => r.completed), bars: true },
        { label: t('state.stopped'), colour: '--s-stopped', values: stopped, own: rows.map((r) => r.stopped), bars: true },
        { label: t('state.failed'), colour: '--s-failed', values: failed, bars: true },
      ]}
      format={(n) => f.number(n)}
      label={t('over.throughput')}
      summary={t('chart.throughput.sum', { n: total, failed: failed.reduce((a, b) => a + b, 0) })}
    />
  );
}

export function Latency({ stats }: { stats: Stats }) {
  const { t, f } = useI18n();
  const rows = stats.latency;
  // Where nothing started there is no wait, not one of zero.
  const last = rows.findLast((r) => r.n > 0);
  return (
    <Chart
      at={rows.map((r) => seconds(r.at))}
      lines={[
        { label: 'p95', colour: '--s-held', values: rows.map((r) => (r.n > 0 ? r.p95 : null)) },
        { label: 'p50', colour: '--s-running', values: rows.map((r) => (r.n > 0 ? r.p50 : null)) },
      ]}
      format={f.duration}
      label={t('over.latency')}
      summary={last ? t('chart.latency.sum', { p50: f.duration(last.p50), p95: f.duration(last.p95) }) : t('chart.none')}
    />
  );
}
