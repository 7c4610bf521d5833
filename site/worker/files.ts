// Where runs are kept: in the browser's own storage for this page, or, where that is full or forbidden, in memory as
// long as the tab is open. A file is there whole or not at all.

export interface Files {
  /** Whether what is written outlives the tab. */
  readonly lasting: boolean;
  read(path: string): Promise<Uint8Array | undefined>;
  write(path: string, bytes: Uint8Array): Promise<void>;
  /** Names in a folder; those of folders end with /. */
  list(folder: string): Promise<string[]>;
  remove(path: string): Promise<void>;
}

/** Tells by `notice` why files do not last. */
export async function openFiles(notice: (words: string) => void): Promise<Files> {
  try {
    const root = await navigator.storage.getDirectory();
    const files = inMemoryWhenFull(inStorage(root), notice);
    await files.write('probe', new Uint8Array(1));
    await files.remove('probe');
    return files;
  } catch (error) {
    notice(
      `This browser keeps no files for this page (${(error as Error).message}): runs end with the tab. ` +
        'Download what you want to keep.',
    );
    return inMemory();
  }
}

/** What storage has no room for is kept in memory, which is told once. */
function inMemoryWhenFull(stored: Files, notice: (words: string) => void): Files {
  const rest = inMemory();
  let isTold = false;
  return {
    ...stored,
    read: async (path) => (await rest.read(path)) ?? stored.read(path),
    async write(path, bytes) {
      try {
        await stored.write(path, bytes);
        await rest.remove(path);
      } catch (error) {
        if ((error as DOMException).name !== 'QuotaExceededError') throw error;
        await rest.write(path, bytes);
        const words =
          'The storage of this page is full: what follows ends with the tab. Download it, or remove old runs.';
        if (!isTold) notice(words);
        isTold = true;
      }
    },
    list: async (folder) => [...new Set([...(await stored.list(folder)), ...(await rest.list(folder))])].sort(),
    async remove(path) {
      await rest.remove(path);
      await stored.remove(path);
    },
  };
}

function inStorage(root: FileSystemDirectoryHandle): Files {
  async function at(path: string, create = false): Promise<readonly [FileSystemDirectoryHandle, string] | undefined> {
    const parts = path.split('/').filter((part) => part !== '');
    let folder = root;
    for (const part of parts.slice(0, -1)) {
      try {
        folder = await folder.getDirectoryHandle(part, { create });
      } catch {
        return undefined; // there is none
      }
    }
    return [folder, parts.at(-1)!];
  }
  return {
    lasting: true,
    async read(path) {
      const place = await at(path);
      const handle = await place?.[0].getFileHandle(place[1]).catch(() => undefined);
      return handle && new Uint8Array(await (await handle.getFile()).arrayBuffer());
    },
    async write(path, bytes) {
      const [folder, name] = (await at(path, true))!;
      const handle = await folder.getFileHandle(name, { create: true });
      const writable = await handle.createWritable(); // takes its place when closed
      await writable.write(bytes as Uint8Array<ArrayBuffer>);
      await writable.close();
    },
    async list(path) {
      const place = await at(`${path}/.`);
      const names: string[] = [];
      if (place === undefined) return names;
      for await (const [name, { kind }] of place[0].entries()) names.push(kind === 'directory' ? `${name}/` : name);
      return names.sort();
    },
    async remove(path) {
      const place = await at(path);
      await place?.[0].removeEntry(place[1], { recursive: true }).catch(() => undefined);
    },
  };
}

function inMemory(): Files {
  const all = new Map<string, Uint8Array>();
  return {
    lasting: false,
    read: async (path) => all.get(path),
    write: async (path, bytes) => void all.set(path, bytes),
    async list(folder) {
      const below = [...all.keys()]
        .filter((path) => path.startsWith(`${folder}/`))
        .map((path) => path.slice(folder.length + 1));
      return [...new Set(below.map((path) => (path.includes('/') ? `${path.split('/')[0]}/` : path)))].sort();
    },
    async remove(path) {
      for (const own of [...all.keys()]) if (own === path || own.startsWith(`${path}/`)) all.delete(own);
    },
  };
}
