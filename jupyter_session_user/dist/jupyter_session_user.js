// Says why a Bokeh or Panel page has lost its server, where it would stay blank or silent.
//
// Bokeh's server puts this into its pages and into autoload.js, because jupyter_session_user is
// a Bokeh extension (bokeh.ext.json). It looks at the page's own websockets and changes nothing
// about them. No document is needed: a page whose first connection fails never has one.
(() => {
  "use strict";
  if (window.__jupyterSessionUser) return;
  window.__jupyterSessionUser = true;

  const TEXTS = {
    expired: [
      "This page has expired.",
      "It was open for longer than the server lets a page connect. Reload it to go on.",
    ],
    signedout: [
      "You have been signed out.",
      "The server no longer accepts this page. Reload it to sign in again.",
    ],
    refused: [
      "The server has refused this page.",
      "It may have restarted, or no longer know you. Reload the page to try again.",
    ],
    unreachable: [
      "The server cannot be reached.",
      "Check the network connection, then reload the page.",
    ],
    lost: [
      "The connection to the server was lost.",
      "What is shown may be out of date. Reload the page to go on.",
    ],
  };
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

  const broken = new Map(); // address of a websocket -> reason
  const alive = new Map(); // address -> the websocket that works there
  let leaving = false;
  addEventListener("pagehide", () => (leaving = true));
  addEventListener("pageshow", () => (leaving = false));

  /** When the token of a session ends, in seconds since 1970; null where it does not say. */
  function expiry(token) {
    try {
      const part = token.split(".")[0].replace(/-/g, "+").replace(/_/g, "/");
      const end = JSON.parse(atob(part)).session_expiry;
      return typeof end === "number" ? end : null;
    } catch {
      return null;
    }
  }

  /** What the server says now: its time, and whether it lets this browser in. */
  async function ask(address) {
    const url = new URL(address);
    url.protocol = url.protocol === "wss:" ? "https:" : "http:";
    url.pathname = url.pathname.replace(/\/ws$/, "/metadata");
    url.search = "";
    // Another origin (a page that embeds the app) may not read the answer, only that there is one.
    const foreign = url.origin !== location.origin;
    const mode = foreign ? { mode: "no-cors" } : { redirect: "manual" };
    try {
      const answer = await fetch(url, { cache: "no-store", credentials: "include", ...mode });
      const out = answer.type === "opaqueredirect" || [401, 403].includes(answer.status);
      const now = Date.parse(answer.headers.get("Date") ?? "") / 1000;
      return { reachable: true, out, now: Number.isNaN(now) ? undefined : now };
    } catch {
      return { reachable: false };
    }
  }

  async function reason(address, token, connected) {
    const said = await ask(address);
    const end = expiry(token);
    // The server's clock, where it can be read; that of the browser may be wrong.
    if (said.out) return "signedout";
    if (end !== null && (said.now ?? Date.now() / 1000) >= end) return "expired";
    if (!said.reachable) return "unreachable";
    return connected ? "lost" : "refused";
  }

  function show() {
    const worst = Object.keys(TEXTS).find((name) => [...broken.values()].includes(name));
    document.querySelector("jupyter-session-user-banner")?.remove();
    if (worst === undefined) return;
    const host = document.createElement("jupyter-session-user-banner");
    host.dataset.reason = worst;
    const bar = document.createElement("div");
    bar.setAttribute("role", "alert");
    const [what, more] = TEXTS[worst];
    const text = document.createElement("span");
    const strong = document.createElement("strong");
    strong.textContent = what;
    text.append(strong, ` ${more}`);
    const link = document.createElement("a");
    link.href = location.href;
    link.textContent = "Reload the page";
    link.addEventListener("click", (event) => {
      event.preventDefault();
      location.reload();
    });
    bar.append(text, link);
    const style = document.createElement("style");
    style.textContent = STYLE;
    host.attachShadow({ mode: "open" }).append(style, bar);
    document.body.append(host);
  }

  window.WebSocket = class extends window.WebSocket {
    constructor(address, protocols) {
      super(...(protocols === undefined ? [address] : [address, protocols]));
      if (!Array.isArray(protocols) || protocols[0] !== "bokeh") return;
      const token = String(protocols[1] ?? "");
      const key = String(this.url).split("?")[0];
      this.addEventListener("message", () => {
        if (alive.get(key) === this) return;
        alive.set(key, this);
        if (broken.delete(key)) show();
      });
      this.addEventListener("close", async () => {
        const connected = alive.get(key) === this;
        if (connected) alive.delete(key);
        const why = await reason(this.url, token, connected);
        // Bokeh may have come back by itself meanwhile.
        if (leaving || alive.has(key)) return;
        broken.set(key, why);
        show();
      });
    }
  };
})();
