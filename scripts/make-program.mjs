// Gives the built command line its run bit, which tsc does not write: in a clone, `npx remit-mini` runs the file
// itself. On Windows there is no such bit, and npm makes its own starters there.

import { chmodSync } from 'node:fs';

chmodSync(new URL('../dist/remit/cli/bin.js', import.meta.url), 0o755);
