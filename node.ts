// What the library adds in Node: run folders, models and texts from disk, and the command line as a function.

export { main } from './remit/cli/main.ts';
export { readText } from './remit/data/files.ts';
export { readModelFolder, writeFolder } from './remit/interop/folder.ts';
export { readCheckpoint, writeCheckpoint, type Checkpoint, type Place } from './remit/run/checkpoint.ts';
export { environment, type Environment } from './remit/run/environment.ts';
export { claimFolder, RunFolder, StoppedError, type RunFolderOptions } from './remit/run/folder.ts';
export { openModel, type OpenModel } from './remit/run/model.ts';
export { Progress } from './remit/run/progress.ts';
