/** The chip in the top bar: a picture of the signed-in person, or that the login is over. */
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import { discColors } from './color.js';
import { labelOf, tooltipOf } from './details.js';
import { CLASS, element } from './dom.js';
import { isOver } from './login.js';
import type { ISessionInfo, ISessionUserModel, IUser, OverState } from './tokens.js';
import { overLabel } from './words.js';

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

export class SessionUserChip extends Widget {
  constructor(options: SessionUserChip.IOptions) {
    super();
    this.addClass(CLASS);
    this._options = options;
    this._button = element('button', 'button');
    this._button.type = 'button';
    this.node.append(this._button);
    options.model.changed.connect(this._render, this);
    options.model.stateChanged.connect(this._render, this);
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
    this._options.model.changed.disconnect(this._render, this);
    this._options.model.stateChanged.disconnect(this._render, this);
    super.dispose();
  }

  handleEvent(): void {
    if (isOver(this._options.model.state)) {
      this._options.logIn();
    } else {
      void this._options.showDetails().finally(() => this._button.focus());
    }
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
    const { session, state } = this._options.model;
    this._button.dataset.state = state;
    this._button.classList.toggle('jp-mod-warn', isOver(state));
    this.setHidden(!this._enabled || (session === null && !isOver(state)));
    if (isOver(state)) {
      this._renderOver(state);
    } else if (session !== null) {
      this._renderPerson(session);
    } else {
      // Nobody's name may stay in the page after its owner is gone.
      this._button.replaceChildren();
      this._button.title = '';
    }
  }

  private _renderOver(state: OverState): void {
    const label = overLabel(state, this._options.trans);
    const title = `${label}. ${this._options.trans.__('Log in again')}`;
    const mark = element('span', 'disc', '!');
    mark.setAttribute('aria-hidden', 'true');
    this._button.replaceChildren(mark, element('span', 'over', label));
    this._button.removeAttribute('aria-haspopup');
    this._button.setAttribute('aria-label', title);
    this._button.title = title;
  }

  private _renderPerson(session: ISessionInfo): void {
    const { model, trans } = this._options;
    const name = element('span', 'name', session.user.displayName);
    this._button.replaceChildren(picture(session.user), name);
    this._button.setAttribute('aria-haspopup', 'dialog');
    this._button.setAttribute('aria-label', labelOf(session, trans, model.state));
    this._button.title = tooltipOf(session, trans, model.state);
  }

  private readonly _options: SessionUserChip.IOptions;
  private readonly _button: HTMLButtonElement;
  private _enabled = true;
}

export namespace SessionUserChip {
  export interface IOptions {
    readonly model: ISessionUserModel;
    readonly trans: TranslationBundle;
    /** Called within the click: browsers open no window later. */
    logIn(): void;
    /** Resolves when the details are closed. */
    showDetails(): Promise<void>;
  }
}
