/** Who ran each cell, beside the cells of a notebook that several people use. */
import { askThrough } from '../ask.js';
import type { ShowRuns } from '../runs/feed.js';
import type { Runs } from '../runs/index.js';
import { followSettings, plugin } from './plugin.js';

const SHOW_RUN = 'jupyter-session-user:show-who-ran';

export const runsPlugin = plugin(
  'jupyter-session-user:runs',
  'Shows who ran each cell.',
  ({ app, model, trans, registry, palette }) => {
    let loading: Promise<Runs> | null = null;
    const load = async (): Promise<Runs> => {
      // A page without a notebook needs none of it.
      const { Runs } = await import(/* webpackChunkName: "later-runs" */ '../runs/index.js');
      const runs = new Runs(model, askThrough(app.serviceManager.serverSettings), trans);
      followSettings(registry, settings => {
        const show = settings.get('showRuns').composite as ShowRuns; // by the schema
        runs.configure({ show, keep: settings.get('keepRuns').composite === true });
      });
      return runs;
    };
    const runs = (): Promise<Runs> => (loading ??= load());
    app.docRegistry.addWidgetExtension('Notebook', {
      createNew: panel => void runs().then(loaded => loaded.add(panel), console.warn)
    });
    app.commands.addCommand(SHOW_RUN, {
      label: trans.__('Show Who Ran This Cell'),
      execute: () => runs().then(loaded => loaded.sayActive(app.shell.currentWidget))
    });
    palette?.addItem({ command: SHOW_RUN, category: trans.__('Notebook Operations') });
  }
);
