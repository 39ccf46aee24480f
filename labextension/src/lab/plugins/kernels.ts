/** Reconnects kernels, consoles and terminals after a login; open documents stay open. */
import { Connections } from '../connections.js';
import { plugin } from './plugin.js';

export const kernelsPlugin = plugin(
  'jupyter-session-user:reconnect',
  'Connects the kernels anew after a login.',
  ({ app, model }) => {
    const { kernels, terminals, serverSettings } = app.serviceManager;
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
);
