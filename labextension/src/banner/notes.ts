/** The elements of the notes. Text is inserted as text, never as HTML. */
import { element } from '../shared/dom.js';
import type { INote } from './noted.js';
import type { Texts } from './texts.js';

export class Notes {
  constructor(parent: Element) {
    parent.append(this.node);
  }

  /** Present before it has notes, or screen readers would not announce them. */
  readonly node = element('div', 'jsu-notes', '', { 'aria-live': 'polite' });

  show(notes: readonly INote[], texts: Texts): void {
    const keys = new Set(notes.map(({ key }) => key));
    // What a user has hidden stays hidden, until it is over.
    this._hidden.forEach(key => keys.has(key) || this._hidden.delete(key));
    const shown = notes.filter(({ key }) => !this._hidden.has(key));
    const drawn = JSON.stringify([shown, texts.hide]);
    if (drawn !== this._drawn) {
      this._drawn = drawn; // a focused button keeps the focus
      this.node.replaceChildren(...shown.map(note => this._draw(note, texts)));
    }
  }

  dress(theme: string): void {
    for (const note of this.node.children) {
      (note as HTMLElement).dataset.theme = theme;
    }
  }

  private _draw({ kind, key, label, text, link, canHide }: INote, texts: Texts): HTMLElement {
    const node = element('section', 'jsu-banner', '', { 'aria-label': label, 'data-state': kind });
    const actions = element('div', 'jsu-actions');
    if (link !== null) {
      const target = { href: link.href, target: '_blank', rel: 'noopener noreferrer' };
      actions.append(element('a', 'jsu-main', link.text, target));
    }
    if (canHide) {
      const hide = element('button', '', texts.hide, { type: 'button' });
      hide.addEventListener('click', () => {
        this._hidden.add(key);
        node.remove();
        this._drawn = '';
      });
      actions.append(hide);
    }
    node.append(element('p', 'jsu-text', text), actions);
    return node;
  }

  private readonly _hidden = new Set<string>();
  private _drawn = '';
}
