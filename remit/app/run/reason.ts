// What the file system says, in words. Used wherever a path that people gave leads somewhere it should not. Used by:
// claim.ts, atomic.ts.

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'this disk is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'your share of the disk is full',
  ENOTDIR: 'a part of the path is a file, not a folder',
  EISDIR: 'is a folder, not a file',
  EEXIST: 'is there already',
  ELOOP: 'a link that leads in a circle',
  ENAMETOOLONG: 'the name is too long',
};

/** Why a file operation failed, without the name of the system call; other errors keep their message. */
export function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return REASONS[code ?? ''] ?? message;
}
