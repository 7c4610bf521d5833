// `remit-mini study script`: what a scheduler is given for a study that is planned, printed to be read and changed. Read
// after: study-cells.ts; docs/scale.md says how each was tried.

import { resolve } from 'node:path';
import { ConfigError } from '../../../engine/errors.ts';
import { didYouMean } from '../../../engine/nearest.ts';
import { readLedger, type Ledger, type Wave } from '../study/ledger.ts';
import { EXIT } from './exit.ts';
import { command, commandAnywhere } from './program.ts';
import { print, quoted } from './terminal.ts';

export const SCHEDULERS = ['slurm', 'kubernetes', 'parallel', 'snakemake', 'bullmq'] as const;
type Scheduler = (typeof SCHEDULERS)[number];

/** Throws ConfigError for another scheduler, and where there is no plan. */
export function tellScript(out: string, name: string | undefined): number {
  const scheduler = SCHEDULERS.find((known) => known === name);
  if (scheduler === undefined) {
    throw new ConfigError(
      `study script: ${name === undefined ? 'which scheduler?' : `${name}:`} must be one of ${SCHEDULERS.join(', ')}` +
      (name === undefined ? '' : didYouMean(name, SCHEDULERS)),
    );
  }
  const ledger = readLedger(out);
  if (ledger === undefined) {
    throw new ConfigError(`study: ${out}: has no plan yet: ${command('study', 'plan', '--out', out)}`);
  }
  print(scripts[scheduler]({ out: resolve(out), ledger }).trim());
  return EXIT.ok;
}

interface Study {
  /** From the root: every machine sees the folder under this path. */
  readonly out: string;
  readonly ledger: Ledger;
}

const run = (out: string, index: string): string => `${commandAnywhere('study', 'run', '--out', out)} --index ${index}`;
const collect = (out: string): string => commandAnywhere('study', 'collect', '--out', out);

const scripts: Readonly<Record<Scheduler, (study: Study) => string>> = { slurm, kubernetes, parallel, snakemake, bullmq };

/** An array a wave; exec, so that Slurm's signals reach Node; 75 and 143 go back into the queue. */
function slurm({ out, ledger: { waves } }: Study): string {
  const submit = ({ first, last }: Wave, wave: number): string => {
    const after = wave === 0 ? '' : ' --dependency=afterok:$last --kill-on-invalid-dep=yes';
    return `last=$(sbatch --parsable --array=${first}-${last}${after} "$cell")`;
  };
  return `
#!/usr/bin/env bash
# Submits the study in ${out}: run it on a machine with sbatch. Change what is asked for below. Submitting it again is
# always right: cells that are done return at once.
set -euo pipefail
cell=$(mktemp)
cat > "$cell" <<'CELL'
#!/usr/bin/env bash
#SBATCH --job-name=remit-study
#SBATCH --cpus-per-task=1
#SBATCH --mem=1G
#SBATCH --time=01:00:00
#SBATCH --signal=B:TERM@60
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=${out}/logs/slurm-%a.log
trap 'kill -TERM "$child" 2>/dev/null' TERM
${run(out, '"$SLURM_ARRAY_TASK_ID"')} --threads "$SLURM_CPUS_PER_TASK" &
child=$!
code=0
wait "$child" || code=$?
while kill -0 "$child" 2>/dev/null; do wait "$child" || code=$?; done
case $code in
  75|143) exec scontrol requeue "\${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" ;;
esac
exit "$code"
CELL
mkdir -p ${quoted(`${out}/logs`)}
${waves.map(submit).join('\n')}
sbatch --dependency=afterok:$last --job-name=remit-collect --output=${quoted(`${out}/logs/collect.log`)} --wrap ${quoted(collect(out))}
`;
}

function kubernetes({ out, ledger: { waves } }: Study): string {
  const job = ({ first, last }: Wave, wave: number): string => `---
apiVersion: batch/v1
kind: Job
metadata:
  name: remit-study-wave-${wave}
spec:
  completionMode: Indexed
  completions: ${last - first + 1}
  parallelism: ${Math.min(32, last - first + 1)}
  backoffLimitPerIndex: 6
  podReplacementPolicy: Failed
  podFailurePolicy:
    rules:
      - action: Ignore
        onPodConditions:
          - type: DisruptionTarget
            status: "True"
      - action: FailIndex
        onExitCodes:
          operator: In
          values: [1, 2, 3, 4, 5]
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 120
      containers:
        - name: cell
          image: IMAGE_WITH_NODE_AND_REMIT_MINI
          command: ["sh", "-c", "exec npx remit-mini study run --out /study --index $((${first} + JOB_COMPLETION_INDEX))"]
          resources:
            requests: { cpu: "1", memory: 1Gi }
          volumeMounts:
            - { name: study, mountPath: /study }
      volumes:
        - name: study
          persistentVolumeClaim: { claimName: remit-study }`;
  return `
# The study in ${out}, which lies on the claim remit-study, mounted at /study by every pod. An Indexed Job a wave: apply
# each when the one before is complete (kubectl wait --for=condition=complete job/remit-study-wave-0 --timeout=-1s).
${waves.map(job).join('\n')}
`;
}

function parallel({ out, ledger: { waves } }: Study): string {
  const lines = waves.map(({ first, last }) => `wave ${first} ${last}`).join('\n');
  return `
#!/usr/bin/env bash
# The study in ${out} by GNU parallel, here or on the hosts of --sshloginfile hosts.txt, which see the folder under the same
# path. Running it again is always right.
set -euo pipefail
wave() {
  seq "$1" "$2" | parallel --jobs "\${JOBS:-100%}" --retries 3 --termseq TERM,20000,KILL,25 \\
    ${run(out, '{}')} --threads 1
}
${lines}
${collect(out)}
`;
}

function snakemake({ out, ledger: { cells } }: Study): string {
  const rules = cells.map(({ index, name, needs }) => {
    const inputs = needs.map((need) => `        "${out}/${cells[need]!.name}/result.json",`).join('\n');
    return `rule cell_${index}:
${inputs === '' ? '' : `    input:\n${inputs}\n`}    output: "${out}/${name}/result.json"
    retries: 3
    shell: "${run(out, String(index)).replaceAll('"', '\\"')} --threads 1"`;
  });
  return `
# The study in ${out}: snakemake --snakefile FILE --cores all
rule all:
    input:
${cells.map(({ name }) => `        "${out}/${name}/result.json",`).join('\n')}
    shell: "${collect(out)}"

${rules.join('\n\n')}
`;
}

function bullmq({ out }: Study): string {
  return `
// The study in ${out} by BullMQ (npm install bullmq ioredis; a Redis at REDIS_URL): start it on every machine that sees the folder
// under this path. The first one to come fills the queue; a worker that dies is seen as stalled, and its cell goes to
// another.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { DelayedError, Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';

const study = ${JSON.stringify(out)};
const connection = new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379', { maxRetriesPerRequest: null });
const { cells } = JSON.parse(readFileSync(\`\${study}/plan.json\`, 'utf8'));
const queue = new Queue('remit-study', { connection });
await queue.addBulk(cells.map(({ index }) => ({
  name: 'cell', data: { index }, opts: { jobId: \`cell-\${index}\`, attempts: 3, removeOnFail: false },
})));

// in a process of its own: a busy event loop would lose the lock of its job
const run = (index) => new Promise((resolve) => {
  const line = ${JSON.stringify(`${run(out, '')}`)};
  spawn(\`\${line}\${index} --threads 1\`, { stdio: 'inherit', shell: true }).once('exit', (code) => resolve(code ?? 143));
});
new Worker('remit-study', async (job, token) => {
  const code = await run(job.data.index);
  if (code === 0) return;
  if (code === 75 || code === 143) {
    await job.moveToDelayed(Date.now() + 5000, token);
    throw new DelayedError();
  }
  throw new Error(\`cell \${job.data.index} ended with \${code}\`);
}, { connection, concurrency: 1 });
`;
}
