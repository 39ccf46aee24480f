/** The own agents and their tokens. */
import { askThrough } from '../ask.js';
import { hasNamedLogin } from '../chip.js';
import { plugin, SHOW_AGENTS } from './plugin.js';

export const agentsPlugin = plugin(
  'jupyter-session-user:agents',
  'Gives tokens to agents, and revokes them.',
  ({ app: { commands, serviceManager }, model, palette, trans }) => {
    commands.addCommand(SHOW_AGENTS, {
      label: trans.__('Agents…'),
      isVisible: () => hasNamedLogin(model.session),
      execute: async () => {
        // Few pages need it.
        const { showAgents } = await import(/* webpackChunkName: "later-agents" */ '../agents/index.js');
        await showAgents(model, askThrough(serviceManager.serverSettings), trans);
      }
    });
    palette?.addItem({ command: SHOW_AGENTS, category: trans.__('Login') });
    model.changed.connect(() => commands.notifyCommandChanged(SHOW_AGENTS));
  }
);
