// The report of a study as a page: its report.md, which says everything, with the figures in it. The Markdown is that of
// remit/app/study/report.ts: headings, paragraphs, lists, tables, pictures, **bold**. Read after: page.ts.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../../engine/errors.ts';
import { escape } from '../plot/svg.ts';
import { gallery, section, table, type Html } from './page.ts';

/** The parts of its page. Throws ConfigError for a study that has no report yet. */
export function studyReport(study: string): Html[] {
  const path = join(study, 'report.md');
  if (!existsSync(path)) {
    throw new ConfigError(`report: ${study}: the study has no report yet: go on with it, study --out ${study}`);
  }
  const [head = '', ...parts] = readFileSync(path, 'utf8').split(/^## /m);
  const sections = parts.map((part) => {
    const end = part.indexOf('\n');
    return section(part.slice(0, end), ...blocks(study, part.slice(end)));
  });
  return [...blocks(study, head.replace(/^# .*\n/, '')), ...sections];
}

function blocks(study: string, markdown: string): Html[] {
  return markdown.split(/\n{2,}/).map((part) => part.trim()).filter((part) => part !== '').map((part) => {
    if (part.startsWith('| ')) return tableOf(part);
    if (part.startsWith('![')) return gallery(part.split('\n').map((line) => picture(study, line)));
    if (part.startsWith('### ')) return { html: `<h3>${inline(part.slice(4))}</h3>` };
    if (part.startsWith('- ')) {
      const items = part.split(/\n(?=- )/).map((item) => `<li>${inline(item.slice(2))}</li>`);
      return { html: `<ul>${items.join('')}</ul>` };
    }
    return { html: `<p>${inline(part)}</p>` };
  });
}

function tableOf(part: string): Html {
  const rows = part.split('\n').map((line) => line.replace(/^\| | \|$/g, '').split(' | ').map(bare));
  const [head = [], , ...body] = rows;
  return table(head, body);
}

/** Without the style that the file has: the page has it once. */
function picture(study: string, line: string): string {
  const path = /\((.*)\)/.exec(line)?.[1];
  if (path === undefined || !existsSync(join(study, path))) return `<p>${escape(line)}</p>`;
  return readFileSync(join(study, path), 'utf8').replace(/<style>[^]*?<\/style>/, '').trim();
}

const bare = (words: string): string => words.replaceAll('**', '').replaceAll('`', '');

function inline(words: string): string {
  return escape(words)
    .replaceAll(/\*\*(.+?)\*\*/g, '<strong>$1</strong>')
    .replaceAll(/`(.+?)`/g, '<code>$1</code>')
    .replaceAll(/\[([^\]]+)\]\([^)]*\)/g, '$1');
}
