/**
 * Says why a Bokeh or Panel page has lost its server, where it would stay blank or silent.
 *
 * Bokeh's server puts this into its pages and into autoload.js, because jupyter_session_user is
 * a Bokeh extension (bokeh.ext.json). It looks at the page's own websockets and changes nothing
 * about them. No document is needed: a page whose first connection fails never has one.
 */
import { isRefusal, NO_REDIRECT } from '../shared/client.js';
import { element } from '../shared/dom.js';

/** The worst first: one of them is shown. */
const TEXTS = {
  expired: [
    'This page has expired.',
    'It was open for longer than the server lets a page connect. Reload it to go on.'
  ],
  signedout: [
    'You have been logged out.',
    'The server no longer accepts this page. Reload it to log in again.'
  ],
  refused: [
    'The server has refused this page.',
    'It may have restarted, or no longer know you. Reload the page to try again.'
  ],
  unreachable: [
    'The server cannot be reached.',
    'Check the network connection, then reload the page.'
  ],
  lost: [
    'The connection to the server was lost.',
    'What is shown may be out of date. Reload the page to go on.'
  ]
} as const;

type Reason = keyof typeof TEXTS;

const BANNER = 'jupyter-session-user-banner';
const STYLE = `
    :host { all: initial; position: fixed; z-index: 2147483000; left: 0; right: 0; bottom: 0; }
    div { box-sizing: border-box; display: flex; flex-wrap: wrap; gap: .4em 1em;
      align-items: center; justify-content: center; padding: .8em 1.2em; color: #fff;
      background: #8a1c1c; border-top: 2px solid #fff; font: 16px/1.4 system-ui, sans-serif; }
    a { color: #fff; font-weight: 700; text-decoration: underline; padding: .3em .6em;
      border: 2px solid #fff; border-radius: .3em; }
    a:focus-visible { outline: 3px solid #ffd54a; outline-offset: 2px; }
    @media (forced-colors: active) { div { border: 2px solid CanvasText; } }
    @media print { :host { display: none; } }`;

/** By the addresses of websockets. */
const broken = new Map<string, Reason>();
/** The websocket that works at an address. */
const alive = new Map<string, WebSocket>();
let isLeaving = false;

/** When the token of a session ends, in seconds since 1970; null where it does not say. */
function expiry(token: string): number | null {
  try {
    const part = token.split('.')[0]?.replace(/-/g, '+').replace(/_/g, '/') ?? '';
    const end = (JSON.parse(atob(part)) as { session_expiry?: unknown }).session_expiry;
    return typeof end === 'number' ? end : null;
  } catch {
    return null;
  }
}

/** What the server says now: its time, and whether it lets this browser in. */
async function ask(address: string): Promise<{ isOut: boolean; now: number } | null> {
  const url = new URL(address);
  url.protocol = url.protocol === 'wss:' ? 'https:' : 'http:';
  url.pathname = url.pathname.replace(/\/ws$/, '/metadata');
  url.search = '';
  // Another origin (a page that embeds the app) may not read the answer, only that there is one.
  const mode: RequestInit = url.origin === location.origin ? NO_REDIRECT : { mode: 'no-cors' };
  try {
    const answer = await fetch(url, { cache: 'no-store', credentials: 'include', ...mode });
    return { isOut: isRefusal(answer), now: Date.parse(answer.headers.get('Date') ?? '') / 1000 };
  } catch {
    return null;
  }
}

async function reasonOf(address: string, token: string, wasAlive: boolean): Promise<Reason> {
  const said = await ask(address);
  if (said?.isOut) {
    return 'signedout';
  }
  // The server's clock, where it can be read; that of the browser may be wrong.
  if ((said?.now || Date.now() / 1000) >= (expiry(token) ?? Infinity)) {
    return 'expired';
  }
  return said === null ? 'unreachable' : wasAlive ? 'lost' : 'refused';
}

function show(): void {
  const reasons = [...broken.values()];
  const worst = (Object.keys(TEXTS) as Reason[]).find(name => reasons.includes(name));
  document.querySelector(BANNER)?.remove();
  if (worst === undefined) {
    return;
  }
  const host = document.createElement(BANNER);
  host.dataset.reason = worst;
  const [what, more] = TEXTS[worst];
  const text = document.createElement('span');
  text.append(element('strong', '', what), ` ${more}`);
  const link = element('a', '', 'Reload the page', { href: location.href });
  link.addEventListener('click', event => {
    event.preventDefault();
    location.reload();
  });
  const bar = element('div', '', '', { role: 'alert' });
  bar.append(text, link);
  host.attachShadow({ mode: 'open' }).append(element('style', '', STYLE), bar);
  document.body.append(host);
}

/** Bokeh's websockets have its name as their first protocol, and the token as the second. */
function follow(socket: WebSocket, token: string): void {
  const address = socket.url.split('?')[0] ?? '';
  socket.addEventListener('message', () => {
    if (alive.get(address) !== socket) {
      alive.set(address, socket);
      if (broken.delete(address)) {
        show();
      }
    }
  });
  const onClose = async (): Promise<void> => {
    const wasAlive = alive.get(address) === socket;
    if (wasAlive) {
      alive.delete(address);
    }
    const reason = await reasonOf(socket.url, token, wasAlive);
    // Bokeh may have come back by itself meanwhile.
    if (!isLeaving && !alive.has(address)) {
      broken.set(address, reason);
      show();
    }
  };
  socket.addEventListener('close', () => void onClose());
}

function watchSockets(): void {
  addEventListener('pagehide', () => (isLeaving = true));
  addEventListener('pageshow', () => (isLeaving = false));
  window.WebSocket = class extends window.WebSocket {
    constructor(address: string | URL, protocols?: string | string[]) {
      super(...((protocols === undefined ? [address] : [address, protocols]) as [string]));
      if (Array.isArray(protocols) && protocols[0] === 'bokeh') {
        follow(this, protocols[1] ?? '');
      }
    }
  };
}

// A page may load this twice.
const page = window as { __jupyterSessionUser?: boolean };
if (!page.__jupyterSessionUser) {
  page.__jupyterSessionUser = true;
  watchSockets();
}
