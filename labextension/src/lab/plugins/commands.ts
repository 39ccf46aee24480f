/** Commands about the login, also in the palette. */
import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import { URLExt } from '@jupyterlab/coreutils';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { isOver } from '../../shared/login.js';
import { hasLogin, hasNamedLogin } from '../chip.js';
import { labelOf } from '../details.js';
import { showDetails, showLoginLink } from '../dialog.js';
import { type Commands, LOG_IN, LOG_OUT, LOG_OUT_EVERYWHERE, plugin, SHOW_DETAILS } from './plugin.js';

const CHECK = 'jupyter-session-user:check-login';

const TOAST_MS = 3000;
/** JupyterLab shows no more of a notification. */
const MAX_MESSAGE = 140;

export const commandsPlugin = plugin(
  'jupyter-session-user:commands',
  'Logs in again, shows and ends logins.',
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

    const everywhere = trans.__('Log out everywhere');
    const logOutEverywhere = async (): Promise<void> => {
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
    const details = (): Promise<void> => showDetails({ model, trans, nameOf });
    /** The menu of a user begins with the user. */
    const detailsLabel = ({ isInMenu }: ReadonlyPartialJSONObject): string =>
      isInMenu === true && model.session !== null
        ? trans.__('Logged in as %1…', model.session.user.displayName)
        : trans.__('Show Who Is Logged In');

    const add = (id: string, options: Parameters<Commands['addCommand']>[1]): void => {
      commands.addCommand(id, options);
      palette?.addItem({ command: id, category: trans.__('Login') });
    };
    const isKnown = (): boolean => model.session !== null;
    // Where the server authenticates no users, these would do nothing.
    const isVisible = (): boolean => model.session === null || hasLogin(model.session);
    add(SHOW_DETAILS, { label: detailsLabel, execute: details, isEnabled: isKnown });
    add(LOG_IN, { label: trans.__('Log In Again'), execute: logIn, isVisible });
    add(CHECK, { label: trans.__('Check Login'), execute: check });
    add(LOG_OUT_EVERYWHERE, {
      label: trans.__('Log Out Everywhere…'),
      execute: logOutEverywhere,
      isVisible: () => hasNamedLogin(model.session)
    });
    // JupyterLab's File menu and palette have one of their own.
    commands.addCommand(LOG_OUT, { label: trans.__('Log Out'), execute: logOut, isVisible });
    model.changed.connect(() => commands.notifyCommandChanged());
  }
);
