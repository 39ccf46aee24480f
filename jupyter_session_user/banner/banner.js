/**
 * The banner that says when a login, the server or the kernel of this page is gone.
 *
 * One file for three places: an anywidget (JupyterLab, Notebook 7, Voila, marimo), a component
 * of Panel, and the extension of Voila's pages. Plain JavaScript, so that nothing builds it.
 */

/** On window: the banner of the whole page, where there is one. Those in cells then keep quiet. */
const PAGE = Symbol.for("jupyter-session-user.banner");
const PAGE_EVENT = "jupyter-session-user:page-banner";

/** Where our sign-in window says that it is done. */
const CHANNEL = "jupyter-session-user";

const POLL_MS = 10_000;
/** While a login is over: it may be good again at any moment. */
const OVER_MS = 3000;
/** While somebody signs in in another window, and while the server does not answer. */
const SOON_MS = 1000;
const MAX_PAUSE_MS = 15_000;
const SIGNING_IN_MS = 5 * 60_000;
/** An answer that takes longer is none. */
const PATIENCE_MS = 10_000;
/** Until the kernel has heard by itself how a login ended. */
const TELLING_MS = 2000;
/** So that a timer does not ring a moment too early. */
const SLACK_MS = 100;
const MINUTE_MS = 60_000;
/** A guess at the end of a login earns a warning only when it is this near. */
const GUESS_AHEAD_MS = 5 * MINUTE_MS;
/** How long a page may take to go away. */
const LEAVING_MS = 10_000;
/** setTimeout takes no more. */
const FAR_MS = 24 * 60 * MINUTE_MS;

const OVER = new Set(["expired", "ended", "revoked"]);
/** What the kernel may say of a login where the server cannot be asked. */
const SAID = new Set([...OVER, "expiring"]);
/** What code may say on a page that has no Jupyter server. */
const STATES = new Set([...SAID, "unreachable", "kernel_ended"]);

/** Every word that is shown. `texts` replaces some or all of them. */
export const TEXTS = Object.freeze({
  label: "Login",
  expiring: "Your login ends in {time}.",
  expiring_estimated: "Your login may end in {time}.",
  expiring_unknown: "Your login ends soon.",
  expired: "Your login has expired. Log in again to go on: your work is kept.",
  expired_app: "Your login has expired. Reload the page to log in again.",
  ended: "You are signed out. Log in again to go on: your work is kept.",
  ended_app: "You are signed out. Reload the page to log in again.",
  revoked: "Your login was revoked. Log in again to go on: your work is kept.",
  revoked_app: "Your login was revoked. Reload the page to log in again.",
  stale: "You have logged in again. Reload this page to go on.",
  stranger: "Somebody else has logged in. This page belongs to {name}.",
  unreachable: "The server cannot be reached. Trying again…",
  kernel_ended: "The kernel has ended. Restart it to go on; its variables are lost.",
  kernel_ended_app: "This app has ended. Reload the page to start it again.",
  minutes: "{n} min",
  soon: "less than a minute",
  log_in: "Log in again",
  reload: "Reload the page",
  retry: "Try now",
  hide: "Hide",
  blocked: "The browser blocked the window. Allow it for this site, or log in in another tab.",
});

// ------------------------------------------------------------------------------- where we are

/** What Jupyter's pages say of themselves; null on other pages. */
export function pageConfig() {
  try {
    const node = document.getElementById("jupyter-config-data");
    return node === null ? null : JSON.parse(node.textContent);
  } catch {
    return null;
  }
}

export function isVoila(config) {
  return config?.appUrl === "voila/" || document.body?.dataset.voila === "voila";
}

/**
 * Where the server is, and what kind of page this is.
 *
 * Not by `body[data-base-url]`, which names another address in Voila.
 *
 * @param {string} given The server's base URL, as Python code knows it; usually empty.
 */
export function placeOf(given = "") {
  const config = pageConfig();
  const cut = /^(.*?\/)(?:voila|panel-preview)\//.exec(location.pathname);
  const base = given || config?.baseUrl || cut?.[1] || null;
  const isWeb = location.protocol.startsWith("http");
  return {
    base: base && isWeb ? new URL(base.replace(/\/*$/, "/"), location.href).href : null,
    // JupyterLab's own requests carry it: with a token nobody needs a cookie.
    token: given ? "" : config?.token || "",
    // Its pages are apps: to reload one costs nothing but what was typed into it.
    isApp: config === null || isVoila(config),
    kernelId: isVoila(config) ? config?.kernelId || "" : "",
  };
}

// ------------------------------------------------------------------------- asking the server

class Server {
  constructor(place) {
    this._place = place;
    this._isStrange = false;
  }

  /** Resolve to who is signed in: `{kind, ...}`; never reject. */
  async me(known, kernelId) {
    if (this._place.base === null || this._isStrange) {
      return { kind: "absent" };
    }
    const answer = await this._ask("api/session-user/me");
    if (await this._isOthers(answer, known, kernelId)) {
      this._isStrange = true; // no extension of ours in this server; that does not change
      return { kind: "absent" };
    }
    if (answer.kind === "refused") {
      return this._whyRefused(known);
    }
    return answer.kind === "ok" ? { kind: "present", session: answer.json } : answer;
  }

  /** Whether our address means nothing there. Standalone Voila redirects what it does not know. */
  async _isOthers({ kind, json }, known, kernelId) {
    if (kind === "refused" && known === undefined && kernelId) {
      return ["ok", "missing"].includes((await this.kernel(kernelId)).kind);
    }
    return kind === "missing" || (kind === "ok" && !json?.state);
  }

  /** How a login ended; null if it did not, or nobody knows. An authorizer's no is no end. */
  async endOf(session) {
    const answer = await this._state(session);
    return OVER.has(answer.json?.state) ? answer.json.state : null;
  }

  kernel(id) {
    return this._ask(`api/kernels/${encodeURIComponent(id)}?no_track_activity=1`);
  }

  async _whyRefused(known) {
    const answer = await this._state(known ?? "");
    if (answer.kind === "refused") {
      return { kind: "over", state: "expired" }; // a single sign-on stands before the server
    }
    if (answer.kind !== "ok") {
      return answer.kind === "unreachable" ? answer : { kind: "unknown" };
    }
    if (answer.json?.signed_in !== false) {
      return { kind: "unknown" };
    }
    const { state } = answer.json;
    return { kind: "over", state: OVER.has(state) ? state : "expired" };
  }

  _state(session) {
    return this._ask(`session-user/login-state?session=${encodeURIComponent(session)}`);
  }

  async _ask(path) {
    const headers = { Accept: "application/json" };
    if (this._place.token) {
      headers.Authorization = `token ${this._place.token}`;
    }
    try {
      const response = await fetch(this._place.base + path, {
        headers,
        cache: "no-store",
        credentials: "same-origin",
        redirect: "manual",
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      return await answerOf(response);
    } catch {
      return { kind: "unreachable" };
    }
  }
}

async function answerOf(response) {
  const { status } = response;
  if (response.type === "opaqueredirect" || status === 401 || status === 403) {
    return { kind: "refused" };
  }
  if (status === 404) {
    return { kind: "missing" };
  }
  if ([424, 502, 503, 504].includes(status)) {
    return { kind: "unreachable" }; // a hub or a proxy answers for a server that is gone
  }
  if (!response.ok) {
    return { kind: "unknown" };
  }
  const isJson = response.headers.get("Content-Type")?.includes("json");
  return { kind: "ok", json: isJson ? await response.json() : null };
}

// ---------------------------------------------------------------------------------- watching

const WELL = Object.freeze({ state: "active" });

/**
 * Looks after the login, the server and the kernel of this page.
 *
 * What it finds is `{state, left?, isGuess?, name?}`, with `left` in milliseconds.
 */
export class Watch {
  /**
   * @param {object} place What `placeOf` returned.
   * @param {object} options `onChange`, called after each look; `kernelId`; `connection`, which
   *   returns the page's connection to its kernel where the page lets us at it.
   */
  constructor(place, { onChange, kernelId = "", connection = () => null }) {
    this.place = place;
    this.found = WELL;
    this.hasLooked = false;
    this._server = new Server(place);
    this._onChange = onChange;
    this._kernelId = place.kernelId || kernelId;
    // Code may be wrong about its kernel's id, where somebody else than Jupyter starts kernels.
    this._isKernelKnown = place.kernelId !== "";
    this._connection = connection;
    this._first = null; // the session with which this page began
    this._latest = null;
    this._failures = 0;
    this._hurryUntil = 0;
    this._lookedAt = 0;
    this._leavingUntil = 0;
    this._stop = new AbortController();
  }

  /** Whether there is a server that can be asked; else only the kernel knows. */
  get canAsk() {
    return this.place.base !== null && (this._latest !== null || this._kernelId !== "");
  }

  /** Whether the server says how it stands with the login. */
  get knowsLogin() {
    return this._latest !== null;
  }

  start() {
    const at = (target, type, call) =>
      target.addEventListener(type, call, { signal: this._stop.signal, capture: true });
    at(document, "visibilitychange", () => void this.look());
    at(window, "online", () => void this.look());
    // Whoever clicks in a page that is dead shall see at once that it is.
    for (const type of ["pointerdown", "keydown"]) {
      at(document, type, () => performance.now() - this._lookedAt > 2 * SOON_MS && this.look());
    }
    // A page that goes away may take its kernel along: no reason to say so.
    at(window, "beforeunload", () => {
      this._leavingUntil = performance.now() + LEAVING_MS;
    });
    if (globalThis.BroadcastChannel) {
      this._channel = new BroadcastChannel(CHANNEL);
      at(this._channel, "message", () => void this.look());
    }
    void this.look();
    return this;
  }

  dispose() {
    this._stop.abort();
    clearTimeout(this._timer);
    this._channel?.close();
  }

  /** Look now, or again right after a look that is under way: that one may know it no more. */
  async look() {
    if (this._stop.signal.aborted) {
      return;
    }
    if (this._looking) {
      this._again = true;
      return;
    }
    clearTimeout(this._timer);
    if (!document.hidden && !this._isLeaving) {
      this._looking = true;
      this._lookedAt = performance.now();
      const found = await this._look();
      this._looking = false;
      if (this._stop.signal.aborted) {
        return;
      }
      this._show(found);
    }
    this._wait();
  }

  get _isLeaving() {
    return performance.now() < this._leavingUntil;
  }

  _show(found) {
    if (!this._isLeaving) {
      this.found = found;
      this.hasLooked = true;
      this._onChange(this);
    }
  }

  /** Open the sign-in window; false where the browser forbids it. Within a click only. */
  signIn() {
    const over = OVER.has(this.found.state);
    const until = over ? "" : `?until=${encodeURIComponent(this._latest?.expires_at ?? "")}`;
    const url = `${this.place.base}session-user/signed-in${until}`;
    const popup =
      window.open(url, "jupyter-session-user-login", "popup,width=520,height=680") ??
      window.open(url, "_blank");
    this._hurryUntil = performance.now() + SIGNING_IN_MS;
    this._wait();
    return popup !== null;
  }

  _wait() {
    clearTimeout(this._timer);
    if (!document.hidden && !this._stop.signal.aborted) {
      const again = this._again;
      this._again = false;
      this._timer = setTimeout(() => void this.look(), again ? 0 : this._pause());
    }
  }

  _pause() {
    const { state, left } = this.found;
    if (this._failures > 0) {
      return Math.min(SOON_MS * 2 ** Math.min(this._failures - 1, 5), MAX_PAUSE_MS);
    }
    const isSigningIn = state !== "active" && performance.now() < this._hurryUntil;
    const pause = isSigningIn ? SOON_MS : OVER.has(state) ? OVER_MS : POLL_MS;
    const end = left ?? this._left();
    // The server ends a login within a moment of its time: two looks, in case the first is early.
    return end !== null && end > -SOON_MS ? Math.min(pause, Math.max(end, 0) + SLACK_MS) : pause;
  }

  async _look() {
    const me = await this._server.me(this._first?.id, this._kernelId);
    if (me.kind === "unreachable") {
      return this._unreachable();
    }
    if (me.kind !== "absent") {
      this._failures = 0;
    }
    if (me.kind === "over") {
      return { state: me.state };
    }
    if (me.kind === "present") {
      this._take(me.session);
    }
    return (await this._kernel(me.kind)) ?? (await this._before()) ?? this._login();
  }

  /** One failure may be a page that is being left, or a network that blinks. */
  _unreachable() {
    this._failures += 1;
    return this._failures > 1 ? { state: "unreachable" } : this.found;
  }

  _take(session) {
    this._first ??= session;
    this._latest = session;
    const now = Date.parse(session.server_time);
    this._skew = Number.isNaN(now) ? 0 : now - Date.now();
  }

  _left() {
    const end = this._latest?.expires_at;
    const left = end ? Date.parse(end) - Date.now() - (this._skew ?? 0) : null;
    return left !== null && left < FAR_MS ? left : null;
  }

  /** What has become of the kernel, if that is anything. */
  async _kernel(kind) {
    const connection = this.place.isApp ? this._connection() : null;
    const isCut = connection && (connection.isDisposed || connection.status === "dead" ||
      connection.connectionStatus === "disconnected");
    if (isCut) {
      return { state: "kernel_ended" };
    }
    if (!this._kernelId || this.place.base === null) {
      return null;
    }
    const answer = await this._server.kernel(this._kernelId);
    const mayTell = kind === "absent"; // else the server has just said who is signed in
    if (mayTell && answer.kind === "unreachable") {
      return this._unreachable();
    }
    if (mayTell) {
      this._failures = 0;
    }
    this._isKernelKnown ||= answer.kind === "ok";
    const isGone = answer.kind === "missing" || answer.json?.execution_state === "dead";
    if (isGone && this._isKernelKnown) {
      return { state: "kernel_ended" };
    }
    // An authorizer may keep kernels from people who are well signed in.
    return mayTell && answer.kind === "refused" ? { state: "ended" } : null;
  }

  /** An app belongs to the login with which it began, also when somebody has a new one. */
  async _before() {
    const [first, latest] = [this._first, this._latest];
    if (!this.place.isApp || first === null || first.id === latest.id) {
      return null;
    }
    if (areTwoPeople(first.user, latest.user)) {
      return { state: "stranger", name: first.user.display_name };
    }
    if ((await this._server.endOf(first.id)) === null) {
      return null;
    }
    const connection = this._connection();
    if (!connection) {
      return { state: "stale" };
    }
    try {
      await connection.reconnect(); // with the cookies of the new login; the kernel stays
      this._first = latest;
      return null;
    } catch {
      return { state: "stale" };
    }
  }

  _login() {
    const session = this._latest;
    const left = this._left();
    if (session?.state !== "expiring" || left === null) {
      return WELL;
    }
    const isGuess = session.expiry_source === "estimated";
    const isFar = isGuess && (left > GUESS_AHEAD_MS || left < -GUESS_AHEAD_MS);
    return isFar ? WELL : { state: "expiring", left, isGuess };
  }
}

/** Names that Jupyter makes up differ at each login of one person, so they tell nothing. */
function areTwoPeople(one, other) {
  return !one.is_anonymous && !other.is_anonymous && one.username !== other.username;
}

// ----------------------------------------------------------------------------------- showing

/** What is on the screen. Words go in as text, never as HTML. */
export class Banner {
  constructor(parent, watch) {
    this._watch = watch;
    this._texts = TEXTS;
    this._hidden = "";
    this.found = WELL;
    this.node = element("section", "jsu-banner");
    // There before it says anything, or screen readers would not notice that it does.
    this._text = element("p", "jsu-text", { role: "status" });
    this._actions = element("div", "jsu-actions");
    this.node.append(this._text, this._actions);
    parent.append(this.node);
    this._themes = new MutationObserver(() => this._dress());
    this._themes.observe(document.body, { attributes: true });
    this._themes.observe(document.documentElement, { attributes: true });
    this.show(WELL);
  }

  dispose() {
    this._themes.disconnect();
    this.node.remove();
  }

  use(texts) {
    this._texts = { ...TEXTS, ...texts };
    this.show(this.found);
  }

  show(found) {
    this.found = found;
    const { state } = found;
    if (state !== this._hidden) {
      this._hidden = "";
    }
    const isQuiet = state === "active" || state === this._hidden;
    this.node.dataset.state = isQuiet ? "active" : state;
    this.node.setAttribute("aria-label", this._texts.label);
    this._say(isQuiet ? "" : this._words(found));
    this._offer(isQuiet ? [] : this._offers(state));
    this._dress();
  }

  _say(text) {
    if (this._text.textContent !== text) {
      this._text.textContent = text; // only a change is read out
    }
  }

  _words({ state, left, isGuess, name }) {
    const { _texts: texts } = this;
    if (state !== "expiring") {
      const forApp = this._watch.place.isApp ? texts[`${state}_app`] : undefined;
      return fill(forApp ?? texts[state] ?? state, { name });
    }
    if (left === undefined) {
      return texts.expiring_unknown;
    }
    const n = Math.round(left / MINUTE_MS);
    const time = n < 1 ? texts.soon : fill(texts.minutes, { n });
    return fill(isGuess ? texts.expiring_estimated : texts.expiring, { time });
  }

  _offers(state) {
    const { canAsk, place } = this._watch;
    const reload = ["reload", () => location.reload()];
    const signIn = ["log_in", () => this._signIn()];
    if (state === "unreachable") {
      return [["retry", () => void this._watch.look()]];
    }
    if (state === "expiring") {
      return [...(canAsk && this._watch.knowsLogin ? [signIn] : []), ["hide", () => this._hide()]];
    }
    if (place.base === null || (state === "kernel_ended" && !place.isApp)) {
      return [];
    }
    return place.isApp ? [reload] : [signIn];
  }

  _offer(offers) {
    const names = offers.map(([name]) => this._texts[name]);
    const shown = [...this._actions.children].map(button => button.textContent);
    if (JSON.stringify(names) === JSON.stringify(shown)) {
      return; // whoever has the focus on one keeps it
    }
    this._actions.replaceChildren(
      ...offers.map(([name, act], index) => {
        const button = element("button", index === 0 && name !== "hide" ? "jsu-main" : "", {
          type: "button",
        });
        button.textContent = this._texts[name];
        button.addEventListener("click", act);
        return button;
      }),
    );
  }

  _signIn() {
    if (!this._watch.signIn()) {
      this._say(this._texts.blocked);
    }
  }

  _hide() {
    this._hidden = this.found.state;
    this.show(this.found);
  }

  _dress() {
    this.node.dataset.theme = isDark(this.node) ? "dark" : "light";
  }
}

function element(tag, className, attributes = {}) {
  const node = document.createElement(tag);
  node.className = className;
  for (const [name, value] of Object.entries(attributes)) {
    node.setAttribute(name, value);
  }
  return node;
}

function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
}

/** Whether what lies behind is dark: each host says it in another way, and some in none. */
function isDark(node) {
  for (let at = node.parentNode; at; at = at.parentNode ?? at.host) {
    const color = at instanceof Element ? getComputedStyle(at).backgroundColor : "";
    const parts = color.match(/[\d.]+/g)?.map(Number) ?? [];
    if (color.startsWith("rgb") && (parts[3] ?? 1) > 0.5) {
      return 0.299 * parts[0] + 0.587 * parts[1] + 0.114 * parts[2] < 128;
    }
  }
  const said = document.body.dataset.jpThemeLight;
  return said === undefined ? false : said === "false";
}

// ------------------------------------------------------------------------------ in the hosts

/** For anywidget and Panel. */
function render({ model, el }) {
  const place = placeOf(model.get("base_url"));
  let reported = "active"; // or about to be
  let reporting;
  const watch = new Watch(place, { kernelId: model.get("kernel_id"), onChange: () => paint() });
  const banner = new Banner(el, watch);

  const paint = () => {
    if (!watch.hasLooked) {
      return; // what the kernel says may be about somebody else
    }
    const found = withKernelsWord(watch, model);
    const page = window[PAGE];
    page?.hear(model.get("texts"), found);
    banner.show(page ? WELL : found);
    report();
  };
  const report = () => {
    const { state } = watch.found;
    if (!watch.canAsk || state === reported) {
      return;
    }
    reported = state;
    clearTimeout(reporting);
    // A page's socket that carries a message of a login that is over is closed, and what the app
    // still has to say is lost: the kernel mostly knows by itself, within a second.
    reporting = setTimeout(send, OVER.has(state) ? TELLING_MS : 0, state);
  };
  const send = (state) => {
    if (OVER.has(state) && model.get("told") === state) {
      return;
    }
    try {
      // With the time, or a second browser's same word would be no change.
      model.set("seen", { state, at: Date.now() });
      model.save_changes();
    } catch {
      // A saved notebook without its kernel: nobody to tell.
    }
  };
  const dress = () => banner.use(model.get("texts"));
  const hear = () => {
    paint();
    void watch.look(); // the kernel says that something happened, to whomever: is it us?
  };
  dress();
  model.on("change:texts", dress);
  model.on("change:state", hear);
  model.on("change:told", hear);
  window.addEventListener(PAGE_EVENT, paint);
  watch.start();
  return () => {
    model.off("change:texts", dress);
    model.off("change:state", hear);
    model.off("change:told", hear);
    window.removeEventListener(PAGE_EVENT, paint);
    clearTimeout(reporting);
    watch.dispose();
    banner.dispose();
  };
}

/**
 * What is to be shown: what the server says, and the kernel's word where it cannot be asked.
 *
 * Where it can, the kernel's word is about whoever made the banner, who may be somebody else.
 */
function withKernelsWord(watch, model) {
  if (watch.knowsLogin || watch.found.state !== "active") {
    return watch.found;
  }
  const said = watch.canAsk ? model.get("told") : model.get("state");
  return (watch.canAsk ? SAID : STATES).has(said) ? { state: said } : watch.found;
}

/** For a page of Voila: one banner at its top, for all of it. */
export async function bannerOfPage({ style, texts, connection, connected }) {
  const place = placeOf();
  if (place.base === null || window[PAGE] || !(await isWanted(place))) {
    return;
  }
  const sheet = element("link", "", { rel: "stylesheet", href: style });
  document.head.append(sheet);
  let said = WELL;
  const watch = new Watch(place, { connection, onChange: () => paint() });
  const banner = new Banner(document.body, watch);
  banner.node.classList.add("jsu-page");
  document.body.prepend(banner.node);
  new ResizeObserver(() => makeRoom(banner.node)).observe(banner.node);
  const paint = () =>
    banner.show(!watch.knowsLogin && watch.found.state === "active" ? said : watch.found);
  banner.use(texts);
  window[PAGE] = {
    hear(more, found) {
      banner.use({ ...texts, ...more });
      said = found;
      paint();
    },
  };
  window.dispatchEvent(new Event(PAGE_EVENT));
  watch.start();
  await connected;
  // A websocket that closes is the first to know.
  connection()?.connectionStatusChanged?.connect(() => void watch.look());
}

/** Move what nothing pushes: Voila's classic template has its page in a positioned element. */
function makeRoom(node) {
  for (const shell of document.querySelectorAll("body > .jp-LabShell")) {
    if (getComputedStyle(shell).position === "absolute") {
      shell.style.marginTop = `${node.offsetHeight}px`;
    }
  }
}

/** `c.JupyterSessionUser.voila_banner`; standalone Voila leaves the extension out instead. */
async function isWanted({ base }) {
  try {
    const answer = await fetch(`${base}session-user/voila-banner`, { redirect: "manual" });
    return !answer.ok || (await answer.json()).on !== false;
  } catch {
    return true;
  }
}

export default { render };
