/** Reconnects kernels, consoles and terminals after a login; open documents stay open. */
import { isOver } from '../../shared/login.js';
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
    model.stateChanged.connect((_, state) => {
      if (isOver(state)) {
        connections.age();
      }
    });
    model.returned.connect((_, { wasOver }) => {
      if (!wasOver && serverSettings.token === '') {
        connections.age(); // nobody saw the end; with a token, another cookie ends nothing
      }
      void connections.renew();
    });
  }
);
