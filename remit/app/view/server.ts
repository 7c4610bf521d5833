// A server of pages for this machine alone: it reads the folders that it was given, and writes nothing. A page asks now
// and then whether it has changed, and takes over what did. Read after: pages.ts. Used by: remit/app/cli/view.ts.

import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { RemitError } from '../../../engine/errors.ts';
import { libraryOf } from './library.ts';
import { entryPage, indexPage, sorryPage } from './pages.ts';
import { hasSite, SITE_HEADERS, siteFile } from './site.ts';

export interface Viewer {
  readonly address: string;
  close(): Promise<void>;
}

/** Names that a browser on this machine, or at the near end of a tunnel, asks with: others are somebody else's page. */
const OURS = /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/;

/** In the page. A tab in the background asks for nothing, and a form that somebody fills in, or its answer, stays. */
const LIVE = `
let tag = '';
setInterval(async () => {
  if (document.hidden || location.search !== '' || document.activeElement?.closest('form')) return;
  const answer = await fetch(location.href, { headers: { 'If-None-Match': tag } }).catch(() => undefined);
  if (answer?.status !== 200) return;
  const isNews = tag !== '';
  tag = answer.headers.get('ETag');
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  if (isNews) document.querySelector('main').replaceWith(page.querySelector('main'));
}, 2000);
`;

const HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy':
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; base-uri 'none'; " +
    "form-action 'self'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

/** Serves on the loopback address alone; port 0 is any that is free. Rejects when the port is taken. */
export async function serve(folders: readonly string[], port = 0): Promise<Viewer> {
  const server = createServer((request, response) => void answer(folders, request, response));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const { port: given } = server.address() as AddressInfo;
  return {
    address: `http://127.0.0.1:${given}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

async function answer(folders: readonly string[], request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { status, type, body, headers = HEADERS } = await answerTo(folders, request);
  const tag = `"${createHash('sha256').update(body).digest('hex').slice(0, 32)}"`;
  const isKnown = status === 200 && request.headers['if-none-match'] === tag;
  response.writeHead(isKnown ? 304 : status, { ...headers, ETag: tag, 'Content-Type': type });
  response.end(isKnown || request.method === 'HEAD' ? undefined : body);
}

async function answerTo(
  folders: readonly string[],
  { method = '', url = '/', headers }: IncomingMessage,
): Promise<Answer> {
  const plain = (status: number, body: string): Answer => ({ status, type: 'text/plain; charset=utf-8', body: `${body}\n` });
  if (!OURS.test(headers.host ?? '')) return plain(403, 'asked for by another name than localhost: refused');
  if (method !== 'GET' && method !== 'HEAD') return plain(405, `${method}: there is nothing to change here`);
  const [path = '', query = ''] = url.split('?');
  if (path === '/live.js') return { status: 200, type: 'text/javascript; charset=utf-8', body: LIVE };
  if (path === SITE || path.startsWith(`${SITE}/`)) return siteAnswer(path, plain);
  const html = (status: number, body: string): Answer => ({ status, type: 'text/html; charset=utf-8', body: withScript(body) });
  try {
    const entries = libraryOf(folders);
    if (path === '/') return html(200, indexPage(entries, hasSite() ? `${SITE}/` : undefined));
    const name = decoded(path.slice(1));
    const entry = entries.find((one) => one.name === name);
    if (entry === undefined) return html(404, sorryPage('Not here', `${name}: no such run or study in the folders that were given`));
    return html(200, await entryPage(entry, new URLSearchParams(query)));
  } catch (error) {
    const why = error instanceof RemitError || (error as { code?: unknown }).code !== undefined ? (error as Error).message : String(error);
    return html(200, sorryPage('Not yet', why)); // it may come while one waits
  }
}

/** Where the page that trains in the tab lies: no folder of runs can be called so. */
const SITE = '/~tab';

function siteAnswer(path: string, plain: (status: number, body: string) => Answer): Answer {
  if (path === SITE) return { ...plain(301, 'it is a folder'), headers: { Location: `${SITE}/` } };
  const file = siteFile(path.slice(SITE.length + 1));
  if (file === undefined) return plain(404, 'the page that trains in the tab has no such file: npm run site builds it');
  return { status: 200, ...file, headers: SITE_HEADERS };
}

const withScript = (page: string): string =>
  page.replace('</head>', '<link rel="icon" href="data:,">\n<script src="/live.js" defer></script>\n</head>');

/** What is no address stays as it is: there is nothing of that name. */
function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
