// A study on a real Slurm: a controller and two nodes of its own, all on this machine. Cells are requeued and preempted,
// a node is lost, a program is killed and the study submitted again; the report has the bytes of an undisturbed one.
//   npm run test:slurm      needs root and Debian's packages slurm-wlm and munge; installs nothing

import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readLedger } from '../../remit/app/study/ledger.ts';
import { remitMini } from '../support/command-line.ts';
import { temporaryFolder } from '../support/temporary.ts';

const folder = temporaryFolder();
const at = (...names: string[]): string => join(folder, ...names);
const HOST = hostname().split('.')[0]!;
const NODES = ['n1', 'n2'] as const;
const missing = ['slurmctld', 'slurmd', 'munged', 'sbatch'].filter((name) => spawnSync('which', [name]).status !== 0);
const why =
  missing.length > 0
    ? `no ${missing.join(', ')}: apt-get install --no-install-recommends slurm-wlm munge`
    : process.getuid?.() === 0 ? undefined : 'root is needed to start the nodes';

const env = { ...process.env, SLURM_CONF: at('slurm.conf') };
const slurm = (program: string, ...args: string[]): string => execFileSync(program, args, { env, encoding: 'utf8' }).trim();
const daemons = new Map<string, ChildProcess>();
const start = (name: string, program: string, ...args: string[]): void => {
  daemons.set(name, spawn(program, args, { env, stdio: 'ignore' }));
};

const CONF = `
ClusterName=mini
SlurmctldHost=${HOST}(127.0.0.1)
SlurmctldPort=17001
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=${at('munge.socket')}
CredType=cred/munge
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=1,sched_min_interval=500000,bf_interval=5,requeue_delay=1
ReturnToService=2
StateSaveLocation=${at('state')}
SlurmdSpoolDir=${at('spool')}.%n
SlurmctldPidFile=${at('slurmctld.pid')}
SlurmdPidFile=${at('slurmd')}.%n.pid
SlurmctldLogFile=${at('slurmctld.log')}
SlurmdLogFile=${at('slurmd')}.%n.log
KillWait=5
SlurmdTimeout=15
InactiveLimit=0
MinJobAge=300
JobRequeue=1
JobFileAppend=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
MaxArraySize=10001
NodeName=n[1-2] NodeHostname=${HOST} NodeAddr=127.0.0.1 Port=[17101-17102] CPUs=1 RealMemory=4000 State=UNKNOWN
PartitionName=low Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=10
PartitionName=high Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
`;

const settings = [
  '--preset', 'short', '--pretrain.steps', '300', '--midtrain.steps', '150', '--sft.steps', '10', '--rl.steps', '5',
  '--evaluate.questions', '10', '--device', 'cpu', '--iterations', '1', '--light', '--arms', 'remit.5', '--seeds', '1-4',
];

const counts = { cells: 0, requeues: 0, preemptions: 0, nodes: 0, kills: 0, submissions: 0 };

beforeAll(async () => {
  if (why !== undefined) return;
  for (const name of ['state', 'spool.n1', 'spool.n2', 'munge']) mkdirSync(at(name), { recursive: true, mode: 0o755 });
  writeFileSync(at('slurm.conf'), CONF);
  writeFileSync(at('munge', 'key'), Buffer.alloc(64, 7), { mode: 0o600 });
  start(
    'munged', 'munged', '--foreground', '--force', `--key-file=${at('munge', 'key')}`, `--socket=${at('munge.socket')}`,
    `--pid-file=${at('munge', 'pid')}`, `--log-file=${at('munge', 'log')}`, `--seed-file=${at('munge', 'seed')}`,
  );
  await until('munged answers', () => existsSync(at('munge.socket')));
  start('controller', 'slurmctld', '-D', '-f', at('slurm.conf'));
  for (const node of NODES) startNode(node);
  await until('both nodes are idle', () => slurm('sinfo', '-h', '-o', '%D %T').includes('2 idle'));
}, 60_000);

afterAll(() => {
  for (const daemon of daemons.values()) daemon.kill('SIGKILL');
  console.log(`slurm: ${Object.entries(counts).map(([what, count]) => `${count} ${what}`).join(', ')}`);
});

function startNode(node: string): void {
  start(node, 'slurmd', '-D', '-N', node, '-f', at('slurm.conf'));
}

async function until(what: string, isSo: () => boolean, seconds = 60): Promise<void> {
  const deadline = performance.now() + 1000 * seconds;
  for (;;) {
    try {
      if (isSo()) return;
    } catch {
      // it does not answer yet
    }
    if (performance.now() > deadline) throw new Error(`after ${seconds} s it is not so that ${what}`);
    await sleep(250);
  }
}

/** Submits the study as its script says, and gives the script's jobs time to be seen. */
function submit(): void {
  counts.submissions++;
  const script = remitMini(['study', 'script', 'slurm', '--out', at('s')]).stdout
    .replace('#SBATCH --time=01:00:00', '#SBATCH --time=00:10:00');
  writeFileSync(at('submit.sh'), script);
  execFileSync('bash', [at('submit.sh')], { env, encoding: 'utf8', cwd: folder });
}

/** Running tasks of the study: `12_3`, which is job 15, on n1. */
function running(): { task: string; job: string; node: string }[] {
  return slurm('squeue', '-h', '-t', 'R', '-o', '%F_%K %A %N %j').split('\n').filter((line) => line.endsWith('remit-study'))
    .map((line) => line.split(' ') as [string, string, string]).map(([task, job, node]) => ({ task, job, node }));
}

const isDone = (): boolean => readLedger(at('s'))!.cells.every(({ name }) => existsSync(at('s', name, 'result.json')));
const queue = (): string => slurm('squeue', '-h', '-o', '%i %T %r %j');

test.skipIf(why !== undefined)(`requeued, preempted, a node lost, a program killed${why === undefined ? '' : `: ${why}`}`, async () => {
  expect(remitMini(['study', 'plan', '--out', at('s'), ...settings]).code).toBe(0);
  counts.cells = readLedger(at('s'))!.cells.length;
  submit();

  await until('a cell runs', () => running().length > 0);
  await sleep(3000);
  slurm('scontrol', 'requeue', running()[0]!.task);
  counts.requeues++;

  await until('two cells run', () => running().length === 2, 180);
  await sleep(3000);
  slurm('sbatch', '--partition=high', '--nodes=1', '--time=1', `--output=${at('high.log')}`, '--wrap', 'sleep 5');
  counts.preemptions++;
  await sleep(12_000);

  await until('a cell runs on n1', () => running().some(({ node }) => node === 'n1'), 240);
  await sleep(2000);
  loseNode('n1');
  counts.nodes++;
  await until('the node is seen as down', () => /n1 +down/.test(slurm('sinfo', '-h', '-N', '-o', '%N %T')), 90);
  startNode('n1');
  await until('it is back', () => /n1 +(idle|alloc|mixed)/.test(slurm('sinfo', '-h', '-N', '-o', '%N %T')), 90);

  await until('a cell runs', () => programs().length > 0, 240);
  process.kill(programs()[0]!, 'SIGKILL');
  counts.kills++;
  await until('nothing is left to do, or what is left waits for good', () => isDone() || isStuck(), 400);
  if (!isDone()) {
    slurm('scancel', '--user=root');
    await until('the queue is empty', () => queue() === '', 60);
    submit(); // the cure: what is done returns at once
  }
  await until('all cells are done', isDone, 500);
  await until('the report is there', () => existsSync(at('s', 'report.csv')), 120);

  expect(remitMini(['study', '--out', at('own'), ...settings]).code).toBe(0);
  for (const file of ['report.json', 'report.md', 'report.csv']) {
    expect(readFileSync(at('s', file), 'utf8')).toBe(readFileSync(at('own', file), 'utf8'));
  }
}, 1_800_000);

/** Processes that do a cell of this study. */
function programs(): number[] {
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid)).map(Number).filter((pid) => {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      return line.includes('run') && line.includes(at('s')) && line[0]!.endsWith('node');
    } catch {
      return false; // it has ended
    }
  });
}

/** The node's daemon, and what runs on it: its steps and their programs. */
function loseNode(node: string): void {
  const there = running().find((one) => one.node === node);
  daemons.get(node)!.kill('SIGKILL');
  spawnSync('pkill', ['-KILL', '-f', `slurmstepd: \\[${there?.job}\\.`]); // first: it would report the end of its program
  const index = there?.task.split('_')[1];
  for (const pid of programs()) {
    const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    if (line[line.indexOf('--index') + 1] === index) process.kill(pid, 'SIGKILL');
  }
}

/** Tasks whose dependency can never come true, or a failed one, and none that runs or is in the queue. */
function isStuck(): boolean {
  const lines = queue().split('\n').filter((line) => line !== '' && !line.includes('DependencyNeverSatisfied'));
  return lines.every((line) => line.endsWith('remit-collect') || / PENDING \(?Dependency/.test(line)) && programs().length === 0;
}
