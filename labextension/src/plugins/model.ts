/** Provides the model, so that other extensions can ask who is signed in too, and feeds it. */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ISettingRegistry } from '@jupyterlab/settingregistry';

import { SessionUserClient } from '../client.js';
import { isOver } from '../login.js';
import { SessionUserModel } from '../model.js';
import { ISessionUserModel } from '../tokens.js';
import { AnswerWatch } from '../watch.js';
import { followSettings, numberOf } from './settings.js';

/** On which the page that ends a login in a window of its own says so. */
const CHANNEL = 'jupyter-session-user';

/** Ask when somebody comes back to this page, from wherever the login may have changed. */
function askOnReturn(model: SessionUserModel): void {
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) {
      void model.check();
    }
  });
  window.addEventListener('online', () => void model.check());
  new BroadcastChannel(CHANNEL).onmessage = () => void model.check();
}

export const modelPlugin: JupyterFrontEndPlugin<ISessionUserModel> = {
  id: 'jupyter-session-user:model',
  description: 'Knows who is signed in.',
  autoStart: true,
  provides: ISessionUserModel,
  optional: [ISettingRegistry],
  activate: (app: JupyterFrontEnd, registry: ISettingRegistry | null): ISessionUserModel => {
    const { serverSettings } = app.serviceManager;
    const model = new SessionUserModel({ client: new SessionUserClient({ serverSettings }) });
    new AnswerWatch(serverSettings, {
      suspect: async () => isOver(model.state) || isOver(await model.check()),
      succeed: () => void model.noteSuccess()
    });
    askOnReturn(model);
    followSettings(registry, settings => {
      model.configure(numberOf(settings, 'pollSeconds'), numberOf(settings, 'warnMinutes'));
    });
    return model;
  }
};
