// Puts the two headers on every answer that give a page threads, for hosts that cannot set headers, and keeps what was
// loaded, so that the page works without a network afterwards. What has a hash in its name never changes; the rest is
// asked for anew, and taken from what is kept where there is no answer.

const KEPT = 'remit-mini-1';

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || new URL(request.url).origin !== self.location.origin) return;
  event.respondWith(answer(request));
});

async function answer(request) {
  const kept = await caches.open(KEPT);
  const known = await kept.match(request, { ignoreSearch: true });
  if (known && /\/assets\/[^/]+-[\w-]{8}\.\w+$/.test(new URL(request.url).pathname)) return known;
  try {
    const response = isolated(await fetch(request));
    const keep = response.status === 200;
    if (keep) await kept.put(request, response.clone()).catch(() => undefined); // storage may be full
    return response;
  } catch (error) {
    if (known) return known;
    throw error;
  }
}

function isolated(response) {
  if (response.status === 0 || response.status === 304) return response;
  const headers = new Headers(response.headers);
  headers.set('Cross-Origin-Embedder-Policy', 'require-corp');
  headers.set('Cross-Origin-Opener-Policy', 'same-origin');
  headers.set('Cross-Origin-Resource-Policy', 'same-origin');
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
