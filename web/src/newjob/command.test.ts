import { expect, test } from 'vitest';
import { parseEnv, seconds, shellSigns, splitCommand } from './command';

test('cuts words as a shell does', () => {
  expect(splitCommand(`tar czf "/srv/my files.tgz" '/home/$USER' a\\ b ""`)).toEqual({ argv: ['tar', 'czf', '/srv/my files.tgz', '/home/$USER', 'a b', ''] });
  expect(splitCommand(`echo "a\\"b" 'c\\d' "e\\f" x"y"z`)).toEqual({ argv: ['echo', 'a"b', 'c\\d', 'e\\f', 'xyz'] });
  expect(splitCommand('  ')).toEqual({ argv: [] });
});

test('says what is not closed', () => {
  expect(splitCommand(`echo "a`).error).toBe('quote');
  expect(splitCommand(`echo 'a`).error).toBe('quote');
  expect(splitCommand('echo a\\').error).toBe('escape');
});

test('knows a shell by its signs', () => {
  for (const s of ['a | b', 'a && b', 'echo $HOME', 'ls *.txt', 'a > b', 'cd ~/x', '$(date)']) expect(shellSigns(s), s).toBe(true);
  for (const s of ['ls -l /tmp', `awk '{print $1}'`, 'a=b', 'rsync -a x:y z']) expect(shellSigns(s), s).toBe(false);
});

test('environment', () => {
  expect(parseEnv('A=1\n\nB=x=y z\nnope\n=x')).toEqual({ env: { A: '1', B: 'x=y z' }, wrong: [4, 5] });
});

test('durations', () => {
  expect(['', '90', '90s', '5m', '1.5h', '1h30m', '2d', 'x', '5 m', '-1'].map(seconds)).toEqual([0, 90, 90, 300, 5400, 5400, 172_800, undefined, undefined, undefined]);
});
