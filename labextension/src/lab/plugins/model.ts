/** Provides the model, so that other extensions can ask for the user, and updates it. */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { URLExt } from '@jupyterlab/coreutils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';

import { SessionUserClient } from '../../shared/client.js';
import { isOver } from '../../shared/login.js';
import { followPage } from '../../shared/page.js';
import { askThrough } from '../ask.js';
import { SessionUserModel } from '../model.js';
import { ISessionUserModel } from '../tokens.js';
import { watchAnswers } from '../watch.js';
import { followSettings, numberOf } from './plugin.js';

export const modelPlugin: JupyterFrontEndPlugin<ISessionUserModel> = {
  id: 'jupyter-session-user:model',
  description: 'Knows who is logged in.',
  autoStart: true,
  provides: ISessionUserModel,
  optional: [ISettingRegistry],
  activate: (app: JupyterFrontEnd, registry: ISettingRegistry | null): ISessionUserModel => {
    const { serverSettings } = app.serviceManager;
    const client = new SessionUserClient(askThrough(serverSettings));
    const baseUrl = URLExt.join(serverSettings.baseUrl, '/');
    const model = new SessionUserModel({ client, baseUrl, isHidden: () => document.hidden });
    watchAnswers(serverSettings, {
      suspect: async () => isOver(model.state) || isOver(await model.check()),
      succeed: () => void model.noteSuccess()
    });
    followPage(model);
    followSettings(registry, settings => {
      model.configure(numberOf(settings, 'pollSeconds'), numberOf(settings, 'warnMinutes'));
    });
    return model;
  }
};
