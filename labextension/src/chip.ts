/**
 * The chip in the top bar: a picture of the signed-in person, and who that is on demand.
 *
 * Names come from other people: they reach the page through textContent and attributes alone,
 * never as markup.
 */
import { Dialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import { discColors } from './color.js';
import { labelOf, rowsOf, tooltipOf } from './details.js';
import type { ISessionInfo, ISessionUserModel, IUser } from './tokens.js';

const CHIP_CLASS = 'jp-SessionUser';

function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  text = ''
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  node.className = `${CHIP_CLASS}-${className}`;
  node.textContent = text;
  return node;
}

function initialsDisc(user: IUser): HTMLElement {
  const disc = element('span', 'disc', user.initials);
  disc.setAttribute('aria-hidden', 'true');
  const colors = discColors(user.color);
  if (colors !== null) {
    disc.style.backgroundColor = colors.background;
    disc.style.color = colors.text;
  }
  return disc;
}

/** The avatar; an image that does not load gives way to the initials. */
function picture(user: IUser): HTMLElement {
  if (user.avatarUrl === null) {
    return initialsDisc(user);
  }
  const image = element('img', 'disc');
  image.alt = '';
  // Another site's image server need not learn the address of this page.
  image.referrerPolicy = 'no-referrer';
  image.addEventListener('error', () => image.replaceWith(initialsDisc(user)), { once: true });
  image.src = user.avatarUrl;
  return image;
}

function detailsBody(session: ISessionInfo, trans: TranslationBundle): Widget {
  const list = element('dl', 'details');
  for (const [term, description] of rowsOf(session, trans)) {
    list.append(element('dt', 'term', term), element('dd', 'description', description));
  }
  return new Widget({ node: list });
}

export class SessionUserChip extends Widget {
  constructor(options: SessionUserChip.IOptions) {
    super();
    this.addClass(CHIP_CLASS);
    this._model = options.model;
    this._trans = options.trans;
    this._button = element('button', 'button');
    this._button.type = 'button';
    this._button.setAttribute('aria-haspopup', 'dialog');
    this.node.append(this._button);
    this._model.changed.connect(this._render, this);
    this._render();
  }

  /** Whether the user wants the chip at all. */
  set enabled(value: boolean) {
    this._enabled = value;
    this._render();
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this._model.changed.disconnect(this._render, this);
    this._dialog?.dispose();
    super.dispose();
  }

  handleEvent(): void {
    void this._showDetails();
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this._button.addEventListener('click', this);
  }

  protected override onBeforeDetach(message: Message): void {
    this._button.removeEventListener('click', this);
    super.onBeforeDetach(message);
  }

  private _render(): void {
    const { session } = this._model;
    this.setHidden(session === null || !this._enabled);
    if (session === null) {
      // Nobody's name may stay in the page after its owner is gone.
      this._button.replaceChildren();
      this._button.title = '';
      this._dialog?.reject();
      return;
    }
    const name = element('span', 'name', session.user.displayName);
    this._button.replaceChildren(picture(session.user), name);
    this._button.setAttribute('aria-label', labelOf(session, this._trans));
    this._button.title = tooltipOf(session, this._trans);
  }

  /** Who am I: a dialog, which Escape closes and which gives the focus back. */
  private async _showDetails(): Promise<void> {
    const { session } = this._model;
    if (session === null || this._dialog !== null) {
      return;
    }
    this._dialog = new Dialog({
      title: this._trans.__('Signed in'),
      body: detailsBody(session, this._trans),
      buttons: [Dialog.cancelButton({ label: this._trans.__('Close') })]
    });
    try {
      await this._dialog.launch();
    } finally {
      this._dialog = null;
      this._button.focus();
    }
  }

  private readonly _model: ISessionUserModel;
  private readonly _trans: TranslationBundle;
  private readonly _button: HTMLButtonElement;
  private _dialog: Dialog<unknown> | null = null;
  private _enabled = true;
}

export namespace SessionUserChip {
  export interface IOptions {
    readonly model: ISessionUserModel;
    readonly trans: TranslationBundle;
  }
}
