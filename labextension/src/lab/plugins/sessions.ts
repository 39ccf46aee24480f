/** All sessions of the server, for those who may manage them. */
import type { MainAreaWidget } from '@jupyterlab/apputils';

import { askThrough } from '../ask.js';
import { NOTEBOOK, plugin, SHOW_SESSIONS } from './plugin.js';

export const sessionsPlugin = plugin(
  'jupyter-session-user:sessions',
  'Shows all sessions to an administrator, and revokes logins.',
  ({ app, model, palette, trans }) => {
    const { commands, serviceManager, shell } = app;
    let tab: MainAreaWidget | null = null;
    commands.addCommand(SHOW_SESSIONS, {
      label: trans.__('All Sessions…'),
      isVisible: () => model.session?.manages === true,
      execute: async () => {
        // Few users may see it.
        const later = import(/* webpackChunkName: "later-sessions" */ '../sessions/index.js');
        const { makeSessionsTab, showSessionsDialog } = await later;
        const ask = askThrough(serviceManager.serverSettings);
        if (app.name === NOTEBOOK) {
          showSessionsDialog(model, ask, trans); // its pages have no tabs
          return;
        }
        if (tab === null || tab.isDisposed) {
          tab = makeSessionsTab(model, ask, trans);
          shell.add(tab, 'main');
        }
        shell.activateById(tab.id);
      }
    });
    palette?.addItem({ command: SHOW_SESSIONS, category: trans.__('Login') });
    model.changed.connect(() => commands.notifyCommandChanged(SHOW_SESSIONS));
  }
);
