/** The chip in the top bar of JupyterLab and Notebook 7: who is logged in, or that it is over. */
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { element } from '../../shared/dom.js';
import { isOver } from '../../shared/login.js';
import type { ISessionInfo, IUser, LoginState, OverState } from '../../shared/types.js';
import { type ShowChip, isChipShown } from '../chip.js';
import { discColors } from '../color.js';
import { labelOf, tooltipOf } from '../details.js';
import { joinMenu, openMenu } from '../menu.js';
import type { ISessionUserModel } from '../tokens.js';
import { overLabel } from '../words.js';
import { type Commands, followSettings, LOG_IN, NOTEBOOK, plugin } from './plugin.js';

/** After "Trusted". */
const LAST = 12_000;

function disc(text: string): HTMLElement {
  return element('span', 'jp-SessionUser-disc', text, { 'aria-hidden': 'true' });
}

function initialsOf(user: IUser): HTMLElement {
  const node = disc(user.initials);
  const colors = discColors(user.color);
  if (colors !== null) {
    node.style.backgroundColor = colors.background;
    node.style.color = colors.text;
  }
  return node;
}

/** The avatar; an image that does not load gives way to the initials. */
function picture(user: IUser): HTMLElement {
  if (user.avatarUrl === null) {
    return initialsOf(user);
  }
  // Another site's image server need not learn the address of this page.
  const attributes = { alt: '', referrerpolicy: 'no-referrer', src: user.avatarUrl };
  const image = element('img', 'jp-SessionUser-disc', '', attributes);
  image.addEventListener('error', () => image.replaceWith(initialsOf(user)), { once: true });
  return image;
}

function isQuiet(state: LoginState): boolean {
  return state === 'active' || state === 'expiring' || state === 'unknown';
}

export class SessionUserChip extends Widget {
  constructor(
    private readonly _model: ISessionUserModel,
    private readonly _trans: TranslationBundle,
    private readonly _commands: Commands
  ) {
    super();
    this.addClass('jp-SessionUser');
    this._button.addEventListener('click', () => this._onClick());
    this.node.append(this._button);
    _model.changed.connect(this._render, this);
    _model.stateChanged.connect(this._render, this);
    this._render();
  }

  /** When the user wants the chip. */
  set shownWhen(value: ShowChip) {
    this._show = value;
    this._render();
  }

  protected override onAfterAttach(): void {
    this._render();
  }

  private _onClick(): void {
    if (isOver(this._model.state)) {
      void this._commands.execute(LOG_IN); // within the click: browsers open no window later
    } else {
      openMenu(this._commands, this._button);
    }
  }

  private _render(): void {
    const { session, state } = this._model;
    this._button.dataset.state = state;
    this._button.classList.toggle('jp-mod-warn', isOver(state));
    this._button.toggleAttribute('aria-haspopup', false);
    // Of two menus of the user, the other extension's stays; trouble is for ours to show.
    const isElsewhere = joinMenu(this.parent?.children() ?? []) && isQuiet(state);
    this.setHidden(isElsewhere || !isChipShown(this._show, session, state));
    if (isOver(state)) {
      this._renderOver(state);
    } else if (session !== null) {
      this._renderPerson(session);
    } else {
      // The name of a user must leave the page as soon as the login ends.
      this._fill('', '');
    }
  }

  private _renderOver(state: OverState): void {
    const label = overLabel(state, this._trans);
    const title = `${label}. ${this._trans.__('Log in again')}`;
    this._fill(title, title, disc('!'), element('span', 'jp-SessionUser-over', label));
  }

  private _renderPerson(session: ISessionInfo): void {
    const label = labelOf(session, this._trans, this._model.state);
    const title = tooltipOf(session, this._trans, this._model.state);
    const name = element('span', 'jp-SessionUser-name', session.user.displayName);
    this._fill(label, title, picture(session.user), name);
    this._button.setAttribute('aria-haspopup', 'menu');
  }

  private _fill(label: string, title: string, ...content: HTMLElement[]): void {
    this._button.replaceChildren(...content);
    this._button.setAttribute('aria-label', label);
    this._button.title = title;
  }

  private readonly _button = element('button', 'jp-SessionUser-button', '', { type: 'button' });
  private _show: ShowChip = 'auto';
}

export const chipPlugin = plugin(
  'jupyter-session-user:plugin', // also the name of the settings
  'Shows who is logged in, in the top bar.',
  ({ app, model, trans, registry, toolbars }) => {
    // The top bar may be rebuilt when its settings change: the last answer counts for every chip.
    const chips = new Set<SessionUserChip>();
    let show: ShowChip = 'auto';
    const make = (): SessionUserChip => {
      const chip = new SessionUserChip(model, trans, app.commands);
      chip.shownWhen = show;
      chips.add(chip);
      chip.disposed.connect(() => chips.delete(chip));
      return chip;
    };
    toolbars?.addFactory('TopBar', 'session-user', make);
    if (app.name === NOTEBOOK) {
      // It hides its top bar where there is little room; the style shows this one instead.
      const chip = make();
      chip.addClass('jp-mod-inMenuBar');
      app.shell.add(chip, 'menu', { rank: LAST });
    }
    followSettings(registry, settings => {
      show = settings.get('showChip').composite as ShowChip; // by the schema
      chips.forEach(chip => (chip.shownWhen = show));
    });
  }
);
