/** Commands about the login, also in the palette. */
import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import { URLExt } from '@jupyterlab/coreutils';

import { isOver } from '../../shared/login.js';
import { labelOf } from '../details.js';
import { showDetails, showLoginLink } from '../dialog.js';
import { LOG_IN, plugin, SHOW_DETAILS } from './plugin.js';

const CHECK = 'jupyter-session-user:check-login';
const SIGN_OUT_EVERYWHERE = 'jupyter-session-user:sign-out-everywhere';

const TOAST_MS = 3000;
/** JupyterLab shows no more of a notification. */
const MAX_MESSAGE = 140;

export const commandsPlugin = plugin(
  'jupyter-session-user:commands',
  'Logs in again, shows and ends sessions.',
  ({ app: { commands, serviceManager }, model, palette, trans }) => {
    /** Within a click, and so without a pause before the window opens. */
    const logIn = (): void => {
      if (!model.logIn()) {
        void showLoginLink(model, trans);
      }
    };

    const check = async (): Promise<void> => {
      const state = await model.check();
      if (isOver(state)) {
        return; // the chip and the notice say so
      }
      const nobody = trans.__('The server does not say');
      const message = model.session === null ? nobody : labelOf(model.session, trans, state);
      Notification.info(message.slice(0, MAX_MESSAGE), { autoClose: TOAST_MS });
    };

    const everywhere = trans.__('Sign out everywhere');
    const signOutEverywhere = async (): Promise<void> => {
      const { button } = await showDialog({
        title: everywhere,
        body: trans.__('All your logins end, in every browser. Kernels go on.'),
        buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: everywhere })],
        defaultButton: 0
      });
      if (button.accept) {
        await model.signOutEverywhere().catch((reason: unknown) => {
          Notification.error(String(reason).slice(0, MAX_MESSAGE), { autoClose: false });
        });
      }
    };

    /** The browser asks before unsaved work is lost. */
    const logOut = (): void =>
      window.location.assign(URLExt.join(serviceManager.serverSettings.baseUrl, 'logout'));

    const nameOf = (kernelId: string): string | undefined =>
      [...serviceManager.sessions.running()].find(({ kernel }) => kernel?.id === kernelId)?.path;
    const actions = [
      [everywhere, signOutEverywhere],
      [trans.__('Log out'), logOut]
    ] as const;
    const details = (): Promise<void> => showDetails({ model, trans, actions, nameOf });

    const add = (id: string, label: string, execute: () => unknown, needsLogin = false): void => {
      const isEnabled = (): boolean => !needsLogin || model.session !== null;
      commands.addCommand(id, { label, execute, isEnabled });
      palette?.addItem({ command: id, category: trans.__('Session') });
    };
    add(LOG_IN, trans.__('Log In Again'), logIn);
    add(CHECK, trans.__('Check Login'), check);
    add(SHOW_DETAILS, trans.__('Show Who Is Signed In'), details, true);
    add(SIGN_OUT_EVERYWHERE, trans.__('Sign Out Everywhere…'), signOutEverywhere, true);
    model.changed.connect(() => commands.notifyCommandChanged());
  }
);
