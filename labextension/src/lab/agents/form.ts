/** The form for a new agent. */
import type { TranslationBundle } from '@jupyterlab/translation';

import { element } from '../../shared/dom.js';
import type { IWish } from './client.js';
import { SCOPES } from './decode.js';
import { scopeLabel } from './words.js';

/** Hours; the first one is chosen. */
const LIFETIMES = [1, 8, 24];
const HOUR_S = 3600;
/** The server's limit. */
const MAX_NAME = '64';

export class AgentForm {
  constructor(trans: TranslationBundle, onSubmit: () => void) {
    const attributes = { type: 'text', maxlength: MAX_NAME, autocomplete: 'off' };
    this.name = element('input', 'jp-SessionUser-agentName', '', attributes);
    for (const hours of LIFETIMES) {
      const text = trans._n('%1 hour', '%1 hours', hours);
      this._lifetime.append(element('option', '', text, { value: String(hours * HOUR_S) }));
    }
    const scopes = element('fieldset', 'jp-SessionUser-scopes');
    scopes.append(element('legend', '', trans.__('Scopes')));
    this._scopes = SCOPES.map(scope => {
      const box = element('input', '', '', { type: 'checkbox', value: scope });
      box.checked = true;
      const label = element('label', '');
      label.append(box, scopeLabel(scope, trans));
      scopes.append(label);
      return { scope, box };
    });
    const field = (text: string, control: HTMLElement): HTMLElement => {
      const label = element('label', 'jp-SessionUser-field');
      label.append(element('span', '', text), control);
      return label;
    };
    const kind = 'jp-mod-styled jp-mod-accept';
    this.node.append(
      element('h2', 'jp-SessionUser-heading', trans.__('New agent')),
      field(trans.__('Agent name'), this.name),
      field(trans.__('Lifetime'), this._lifetime),
      scopes,
      element('button', kind, trans.__('Create token'), { type: 'submit' })
    );
    this.node.addEventListener('submit', event => {
      event.preventDefault(); // the browser would put the fields into the address
      onSubmit();
    });
  }

  get wish(): IWish {
    return {
      name: this.name.value.trim(),
      lifetime: Number(this._lifetime.value),
      scopes: this._scopes.filter(({ box }) => box.checked).map(({ scope }) => scope)
    };
  }

  readonly node = element('form', 'jp-SessionUser-agentForm');
  readonly name: HTMLInputElement;
  private readonly _lifetime = element('select', '');
  private readonly _scopes;
}
