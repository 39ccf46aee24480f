/** While the login is over, a save asks for a login instead of showing an error. */
import { Notification } from '@jupyterlab/apputils';

import { isOver } from '../../shared/login.js';
import { QuietSaves } from '../saving.js';
import { loginNotice } from './notices.js';
import { LOG_IN, plugin } from './plugin.js';

/** The user's own saves; the autosave is no command. */
const SAVES = ['docmanager:save', 'docmanager:save-all'];

export const savingPlugin = plugin(
  'jupyter-session-user:saving',
  'Asks for a login where a save fails because the login is over.',
  ({ app: { commands, serviceManager }, model, trans }) => {
    const saves = new QuietSaves(async () => isOver(model.state) || isOver(await model.check()));
    saves.wrap(serviceManager.contents);
    const message = trans.__('Not saved: log in again, then save. Your work is kept.');
    const logIn = (): void => void commands.execute(LOG_IN);
    const label = trans.__('Log in again');
    let id = '';
    const onSave = async (result: Promise<unknown>): Promise<void> => {
      const before = saves.cancelled;
      await result.catch(() => undefined);
      // An update also shows a notice again that the user has closed.
      if (saves.cancelled > before && !Notification.update({ id, message })) {
        id = loginNotice(message, 'warning', label, logIn);
      }
    };
    commands.commandExecuted.connect((_, command) => {
      if (SAVES.includes(command.id)) {
        void onSave(command.result);
      }
    });
    model.returned.connect(() => Notification.dismiss(id));
  }
);
