// The arms of a study: what is compared, and which model guides each. Read after: ../../arms.ts. Read next: plan.ts.

import { guideOfArm, type Arm, type ArmName } from '../../arms.ts';
import type { Config } from '../../settings/resolve.ts';

export interface StudyArm {
  /** `remit.2`: the method and its setting. */
  readonly name: string;
  readonly about: string;
  readonly method: ArmName;
  /** What it sets of config.remit. */
  readonly settings?: Partial<Config['remit']>;
  /** Mid-training steps, as a multiple of the vanilla arm's; 1 unless given. */
  readonly steps?: number;
  /** Whether it is fine-tuned and reinforced afterwards. */
  readonly postTrained?: boolean;
  /** Whether its RL model guides further turns of the flywheel. */
  readonly turns?: boolean;
  /** In place of the method's own, and the model that it looks at. */
  readonly loss?: Arm;
  readonly guide?: 'none' | 'sft' | 'rl';
  /** Of a grid. */
  readonly variant?: Variant;
}

/** Other settings for a whole chain of cells: base model, vanilla arm, guide, and the arms compared with these. */
export interface Variant {
  readonly name: string;
  /** By dotted name. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Those of them that pre-training sees; without any, its base model is shared. */
  readonly base?: Variant;
}

type OfVariant = { readonly variant?: Variant | undefined };

/** The cell that pre-trains for an arm, and the arm that it is compared with and, at first, guided by. */
export const baseOf = ({ variant }: OfVariant): string => (variant?.base ? `base@${variant.base.name}` : 'base');
export const vanillaOf = ({ variant }: OfVariant): string => (variant ? `vanilla@${variant.name}` : 'vanilla');

/** The model that an arm looks at: which phase of post-training made it. */
export const guideKind = (arm: StudyArm): 'none' | 'sft' | 'rl' => guideOfArm(arm);

export const STUDY_ARMS: readonly StudyArm[] = [
  { name: 'vanilla', about: 'next-token prediction', method: 'vanilla', postTrained: true },
  {
    name: 'remit.2',
    about: 'ReMiT, epsilon 0.2',
    method: 'remit',
    settings: { epsilon: 0.2 },
    postTrained: true,
    turns: true,
  },
  {
    name: 'remit.5',
    about: 'ReMiT, epsilon 0.5',
    method: 'remit',
    settings: { epsilon: 0.5 },
    postTrained: true,
    turns: true,
  },
  {
    name: 'shuffled.2',
    about: "ReMiT's weights permuted over the batch, epsilon 0.2",
    method: 'shuffled',
    settings: { epsilon: 0.2 },
  },
  {
    name: 'shuffled-rows.2',
    about: "ReMiT's weights permuted within each row, epsilon 0.2",
    method: 'shuffled-rows',
    settings: { epsilon: 0.2 },
  },
  {
    name: 'normalised.2',
    about: "ReMiT's weights over their row's mean, epsilon 0.2",
    method: 'normalised',
    settings: { epsilon: 0.2 },
  },
  {
    name: 'sft-guided.2',
    about: 'weights from the SFT model, epsilon 0.2',
    method: 'sft-guided',
    settings: { epsilon: 0.2 },
  },
  { name: 'kd.5', about: 'distillation, half and half', method: 'kd', settings: { distil: 0.5 } },
  { name: 'rho.6', about: 'RHO-1, 60% of the tokens', method: 'rho', settings: { keep: 0.6 } },
  {
    name: 'vanilla+33%',
    about: "a third more steps: what the reference's forward pass costs",
    method: 'vanilla',
    steps: 4 / 3,
  },
];
