/** Provides the model, so that other extensions can ask who is signed in too. */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';

import { SessionUserClient } from '../client.js';
import { SessionUserModel } from '../model.js';
import { ISessionUserModel } from '../tokens.js';

export const modelPlugin: JupyterFrontEndPlugin<ISessionUserModel> = {
  id: 'jupyter-session-user:model',
  description: 'Knows who is signed in to the Jupyter Server.',
  autoStart: true,
  provides: ISessionUserModel,
  activate: (app: JupyterFrontEnd): ISessionUserModel => {
    const { serverSettings } = app.serviceManager;
    return new SessionUserModel({ client: new SessionUserClient({ serverSettings }) });
  }
};
