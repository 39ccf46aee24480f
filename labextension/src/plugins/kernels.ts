/** Connects kernels, consoles and terminals anew after a login, with what is open kept. */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';

import { Connections } from '../connections.js';
import { ISessionUserModel } from '../tokens.js';

export const kernelsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-session-user:reconnect',
  description: 'Connects the kernels anew after a login.',
  autoStart: true,
  requires: [ISessionUserModel],
  activate: ({ serviceManager }: JupyterFrontEnd, model: ISessionUserModel): void => {
    const { kernels, terminals, serverSettings } = serviceManager;
    const connections = new Connections();
    connections.follow(kernels);
    connections.follow(terminals);
    model.returned.connect((_, { wasOver }) => {
      // With a token in the page another session may be another cookie, and nothing has ended.
      if (wasOver || serverSettings.token === '') {
        void connections.renew();
      }
    });
  }
};
