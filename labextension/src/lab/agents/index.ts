/** The dialog about the user's own agents: loaded when it is opened. */
import { Dialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import type { Ask } from '../../shared/client.js';
import { BodyDialog } from '../bodyDialog.js';
import type { ISessionUserModel } from '../tokens.js';
import { AgentsClient } from './client.js';
import css from './css.js';
import { AgentsView } from './view.js';

document.head.append(Object.assign(document.createElement('style'), { textContent: css }));

/** Show it; resolves when it is closed. */
export async function showAgents(
  model: ISessionUserModel,
  ask: Ask,
  trans: TranslationBundle
): Promise<void> {
  const opened = model.session;
  if (opened === null) {
    return;
  }
  const view = new AgentsView(new AgentsClient(ask, trans), trans);
  const dialog = new BodyDialog({
    title: trans.__('Agents'),
    body: new Widget({ node: view.node }),
    // An accept button would be disabled while a field is invalid.
    buttons: [Dialog.cancelButton({ label: trans.__('Close') })],
    focusNodeSelector: '.jp-SessionUser-agentName'
  });
  const close = (): void => {
    if (model.session?.id !== opened.id) {
      dialog.reject(); // the agents and their tokens belong to the login that has ended
    }
  };
  model.changed.connect(close);
  await dialog.launch().finally(() => {
    model.changed.disconnect(close);
    view.clear();
  });
}
