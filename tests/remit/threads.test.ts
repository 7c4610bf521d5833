import { expect, test } from 'vitest';
import { ConfigError } from '../../engine/errors.ts';
import { chosenThreads, takeThreads } from '../../remit/app/cli/threads.ts';

test('--threads is taken from anywhere before --, and remembered', () => {
  expect(takeThreads('train', ['--seed', '2'])).toEqual(['--seed', '2']);
  expect(chosenThreads()).toBeUndefined();
  expect(takeThreads('train', ['--seed', '2', '--threads', '3', '--out', 'a'])).toEqual(['--seed', '2', '--out', 'a']);
  expect(chosenThreads()).toBe(3);
  expect(takeThreads('train', ['--threads=1'])).toEqual([]);
  expect(chosenThreads()).toBe(1);
  expect(takeThreads('sample', ['--', '--threads', '9'])).toEqual(['--', '--threads', '9']);
});

test.each([
  [['--threads', '0'], '0'],
  [['--threads', '65'], '65'],
  [['--threads=two'], 'two'],
  [['--threads', '1.5'], '1.5'],
  [['--threads'], ''],
] as const)('%j is refused', (argv, given) => {
  expect(() => takeThreads('train', argv)).toThrow(
    new ConfigError(`train: --threads ${given}: must be a whole number from 1 to 64`),
  );
});
