// What the library adds in Node: run folders, models and texts from disk, and the command line as a function.

export { main } from './remit/app/cli/main.ts';
export { readText } from './remit/text/files.ts';
export { readModelFolder, writeFolder } from './remit/app/interop/folder.ts';
export { readCheckpoint, writeCheckpoint, type Checkpoint, type Place } from './remit/app/run/checkpoint.ts';
export { environment, type Environment } from './remit/app/run/environment.ts';
export { claimFolder, RunFolder, StoppedError, type RunFolderOptions } from './remit/app/run/folder.ts';
export { openModel, type OpenModel } from './remit/app/run/model.ts';
export { Progress } from './remit/app/run/progress.ts';
