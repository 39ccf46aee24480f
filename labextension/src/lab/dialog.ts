/** The dialogs about the login. Escape closes them and restores the focus. */
import { Dialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { element } from '../shared/dom.js';
import { kernelLines, rowsOf } from './details.js';
import type { ISessionUserModel } from './tokens.js';

export interface IDetailsOptions {
  readonly model: ISessionUserModel;
  readonly trans: TranslationBundle;
  /** The path of a kernel's notebook. */
  nameOf(kernelId: string): string | undefined;
}

/** Show it; resolves when it is closed. */
export async function showDetails(options: IDetailsOptions): Promise<void> {
  const { model, trans, nameOf } = options;
  if (model.session === null) {
    return;
  }
  const node = element('dl', 'jp-SessionUser-details');
  node.tabIndex = 0; // with many kernels it scrolls: WCAG 2.1.1 wants that by keyboard, too
  const add = (term: string, description: string): HTMLElement => {
    const value = element('dd', 'jp-SessionUser-description', description);
    node.append(element('dt', 'jp-SessionUser-term', term), value);
    return value;
  };
  rowsOf(model.session, trans).forEach(row => add(...row));
  const kernels = add(trans.__('Kernels'), '…');
  model.kernels().then(
    list =>
      kernels.replaceChildren(
        ...kernelLines(list, nameOf, trans).map(line =>
          element('div', 'jp-SessionUser-kernel', line)
        )
      ),
    () => (kernels.textContent = trans.__('The server does not say'))
  );
  const dialog = new Dialog({
    title: trans.__('Login'),
    body: new Widget({ node }),
    buttons: [Dialog.okButton({ label: trans.__('Close') })]
  });
  const close = (): void => {
    if (model.session === null) {
      dialog.reject(); // the name of a user must leave the page as soon as the login ends
    }
  };
  model.changed.connect(close);
  await dialog.launch().finally(() => model.changed.disconnect(close));
}

/** A plain link for a browser that opens no window; resolves when the dialog is closed. */
export async function showLoginLink(
  model: ISessionUserModel,
  trans: TranslationBundle
): Promise<void> {
  const blocked = trans.__(
    'The browser opened no window. Allow pop-ups for this page, or use this link:'
  );
  const text = trans.__('Log in in another tab');
  const link = element('a', '', text, { href: model.loginUrl, target: '_blank', rel: 'opener' });
  const node = element('p', 'jp-SessionUser-blocked', `${blocked} `);
  node.append(link);
  const buttons = [Dialog.cancelButton({ label: trans.__('Close') })];
  const title = trans.__('Log in again');
  const dialog = new Dialog({ title, body: new Widget({ node }), buttons });
  link.addEventListener('click', () => dialog.reject());
  await dialog.launch();
}
