/** The list of the user's own agents, the form for a new one, and its token, which is shown once. */
import type { TranslationBundle } from '@jupyterlab/translation';

import { element } from '../../shared/dom.js';
import type { AgentsClient } from './client.js';
import type { IAgent, IGrant } from './decode.js';
import { AgentForm } from './form.js';
import { factsOf, mistakeOf } from './words.js';

const BUTTON = 'jp-mod-styled';

export class AgentsView {
  constructor(
    private readonly _client: AgentsClient,
    private readonly _trans: TranslationBundle
  ) {
    this._form = new AgentForm(_trans, () => void this._do(() => this._create()));
    this._list.setAttribute('aria-label', _trans.__('Your agents'));
    this.node.append(this._intro, this._list, this._form.node, this._alert, this._status, this._once);
    this._loading = this._report(() => this._load());
  }

  /** Remove everything: a token must not stay in the page. */
  clear(): void {
    this._isClosed = true;
    this.node.querySelectorAll('input').forEach(input => (input.value = ''));
    this.node.replaceChildren();
  }

  private async _load(): Promise<void> {
    this._agents = await this._client.list();
    this._renderList();
  }

  private async _create(): Promise<void> {
    const { wish } = this._form;
    const mistake = mistakeOf(wish.name, wish.scopes, this._trans);
    if (mistake !== null) {
      throw new Error(mistake);
    }
    const grant = await this._client.create(wish);
    if (this._isClosed) {
      return;
    }
    this._agents = [...this._agents, grant.agent];
    this._form.name.value = '';
    this._renderList();
    this._renderToken(grant);
  }

  private async _revoke(agent: IAgent): Promise<void> {
    await this._client.revoke(agent.id);
    const at = this._agents.indexOf(agent);
    this._agents = this._agents.filter(other => other !== agent);
    if (this._shown === agent.id) {
      this._once.replaceChildren(); // it is of no use any more
    }
    this._renderList();
    const buttons = this._list.querySelectorAll('button');
    (buttons[Math.min(at, buttons.length - 1)] ?? this._form.name).focus();
    this._status.textContent = this._trans.__('The token of %1 is revoked.', agent.name);
  }

  /** One request at a time: a second click makes no second token. */
  private async _do(action: () => Promise<void>): Promise<void> {
    if (this._isBusy || this._isClosed) {
      return;
    }
    this._isBusy = true;
    await this._loading; // a slow list must not lose a click, nor replace what the click made
    await this._report(action);
    this._isBusy = false;
  }

  /** An error is shown, and changes nothing. */
  private async _report(action: () => Promise<void>): Promise<void> {
    this._alert.textContent = this._status.textContent = '';
    try {
      await action();
    } catch (reason) {
      this._alert.textContent = reason instanceof Error ? reason.message : String(reason);
      this._alert.scrollIntoView({ block: 'nearest' });
    }
  }

  private _renderList(): void {
    const trans = this._trans;
    const what = trans.__('An agent is a script or an assistant that runs code for you.');
    const why = trans.__('Each agent gets a token of its own, which ends with your login.');
    const none = this._agents.length === 0 ? [trans.__('You have no agents.')] : [];
    this._intro.textContent = [what, why, ...none].join(' ');
    this._list.hidden = none.length > 0;
    this._list.replaceChildren(...this._agents.map(agent => this._item(agent)));
  }

  private _item(agent: IAgent): HTMLElement {
    const text = element('div', 'jp-SessionUser-agentText');
    text.append(
      element('strong', '', agent.name),
      ...factsOf(agent, this._trans).map(fact => element('span', '', fact))
    );
    const button = element('button', BUTTON, this._trans.__('Revoke'), {
      type: 'button',
      'aria-label': this._trans.__('Revoke %1', agent.name)
    });
    button.addEventListener('click', () => void this._do(() => this._revoke(agent)));
    const item = element('li', '');
    item.append(text, button);
    return item;
  }

  private _renderToken({ agent, token }: IGrant): void {
    const trans = this._trans;
    const label = trans.__('Token of %1', agent.name);
    const attributes = { readonly: '', autocomplete: 'off', spellcheck: 'false', 'aria-label': label };
    const field = element('input', `${BUTTON} jp-SessionUser-token`, '', attributes);
    field.value = token; // a property: an attribute would be part of the page's source
    const copy = element('button', BUTTON, trans.__('Copy'), { type: 'button' });
    copy.addEventListener('click', () => {
      field.select();
      // The newer way works on https only.
      const isCopied = document.execCommand('copy');
      copy.focus();
      const failed = trans.__('The browser did not copy it. Select the token, and copy it.');
      this._status.textContent = isCopied ? trans.__('Copied.') : failed;
    });
    const row = element('div', 'jp-SessionUser-tokenRow');
    row.append(field, copy);
    const note = trans.__('The token is shown only once, here. Copy it now.');
    this._once.replaceChildren(
      element('h2', 'jp-SessionUser-heading', label),
      element('p', '', note),
      row
    );
    this._shown = agent.id;
    field.focus();
    field.select();
    this._once.scrollIntoView({ block: 'nearest' });
  }

  readonly node = element('div', 'jp-SessionUser-agents');
  private readonly _form: AgentForm;
  private readonly _intro = element('p', '', '…');
  private readonly _list = element('ul', 'jp-SessionUser-agentList');
  private readonly _alert = element('p', 'jp-SessionUser-alert', '', { role: 'alert' });
  private readonly _status = element('p', 'jp-SessionUser-status', '', { role: 'status' });
  private readonly _once = element('section', 'jp-SessionUser-once');
  private _agents: readonly IAgent[] = [];
  /** The id of the agent with the shown token. */
  private _shown = '';
  private readonly _loading: Promise<void>;
  private _isBusy = false;
  private _isClosed = false;
}
