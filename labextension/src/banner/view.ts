/** The banner's elements. Text is inserted as text, never as HTML. */
import { element } from '../shared/dom.js';
import type { IConsent } from '../shared/types.js';
import { type IMadeUp, type IRefusal, notesOf } from './noted.js';
import { Notes } from './notes.js';
import { type IFound, type Offer, shownOf, WELL } from './shown.js';
import { TEXTS, type Texts } from './texts.js';
import type { Watch } from './watch.js';

export class Banner {
  constructor(
    parent: Element,
    private readonly _watch: Watch
  ) {
    this.node.append(this._text, this._actions);
    parent.append(this.node);
    this._notes = new Notes(parent);
    this._themes.observe(document.body, { attributes: true });
    this._themes.observe(document.documentElement, { attributes: true });
    _watch.disposing.addEventListener('abort', () => {
      this._themes.disconnect();
      this.node.remove();
      this._notes.node.remove();
    });
    this.show(WELL);
  }

  readonly node = element('section', 'jsu-banner');

  use(texts: Texts): void {
    this._texts = { ...TEXTS, ...texts };
    this.show(this._found);
  }

  /** Show notes, also while the login is active. */
  note(
    consents: readonly IConsent[],
    madeUp: IMadeUp | null,
    refusal: IRefusal | null = null
  ): void {
    this._notes.show(notesOf(consents, madeUp, this._texts, refusal), this._texts);
    this._dress();
  }

  show(found: IFound): void {
    this._found = found;
    if (found.state !== this._hidden) {
      this._hidden = WELL.state;
    }
    if (found.state !== this._blocked) {
      this._blocked = WELL.state;
    }
    const { state, text, offers } = shownOf(found, this._watch, this._texts, this._hidden);
    const isBlocked = this._blocked !== WELL.state;
    this.node.dataset.state = state;
    this.node.setAttribute('aria-label', this._texts.label ?? '');
    this._say(isBlocked ? (this._texts.blocked ?? '') : text);
    this._offer(isBlocked ? ['log_in_tab'] : offers);
    this._dress();
  }

  private _say(text: string): void {
    if (this._text.textContent !== text) {
      this._text.textContent = text; // only a change is read out
    }
  }

  private _offer(offers: readonly Offer[]): void {
    const labels = offers.map(offer => this._texts[offer] ?? offer);
    const shown = [...this._actions.children].map(button => button.textContent);
    if (JSON.stringify(labels) === JSON.stringify(shown)) {
      return; // a focused button keeps the focus
    }
    const buttons = offers.map((offer, index) => {
      const className = index === 0 && offer !== 'hide' ? 'jsu-main' : '';
      if (offer === 'log_in_tab') {
        const address = { href: this._watch.loginUrl, target: '_blank', rel: 'opener' };
        return element('a', className, labels[index], address);
      }
      const button = element('button', className, labels[index], { type: 'button' });
      button.addEventListener('click', () => this._act(offer));
      return button;
    });
    this._actions.replaceChildren(...buttons);
  }

  private _act(offer: Offer): void {
    if (offer === 'reload') {
      location.reload();
    } else if (offer === 'retry') {
      void this._watch.check();
    } else if (offer === 'hide') {
      this._hidden = this._found.state;
      this.show(this._found);
    } else if (!this._watch.logIn()) {
      this._blocked = this._found.state;
      this.show(this._found);
    }
  }

  private _dress(): void {
    const theme = isDark(this.node) ? 'dark' : 'light';
    this.node.dataset.theme = theme;
    this._notes.dress(theme);
  }

  private readonly _themes = new MutationObserver(() => this._dress());
  /** Present before it has text, or screen readers would not announce the text. */
  private readonly _text = element('p', 'jsu-text', '', { role: 'status' });
  private readonly _actions = element('div', 'jsu-actions');
  private readonly _notes: Notes;
  private _texts: Texts = TEXTS;
  private _hidden: string = WELL.state;
  /** The state in which the browser opened no window. */
  private _blocked: string = WELL.state;
  private _found = WELL;
}

/** Whether the background is dark: each host marks it in another way, and some in none. */
function isDark(node: Node): boolean {
  const above = (at: Node): Node | null =>
    at.parentNode ?? (at instanceof ShadowRoot ? at.host : null);
  for (let at = above(node); at !== null; at = above(at)) {
    const color = at instanceof Element ? getComputedStyle(at).backgroundColor : '';
    const [red = 0, green = 0, blue = 0, alpha = 1] = color.match(/[\d.]+/g)?.map(Number) ?? [];
    if (color.startsWith('rgb') && alpha > 0.5) {
      return 0.299 * red + 0.587 * green + 0.114 * blue < 128;
    }
  }
  return document.body.dataset.jpThemeLight === 'false';
}
