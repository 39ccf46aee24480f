/** Who am I: a dialog, which Escape closes and which gives the focus back. */
import { Dialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { kernelLines, rowsOf } from './details.js';
import { element } from './dom.js';
import type { ISessionUserModel } from './tokens.js';

export interface IDetailsOptions {
  readonly model: ISessionUserModel;
  readonly trans: TranslationBundle;
  /** What one can do from here: a label, and the deed. */
  readonly actions: readonly (readonly [label: string, run: () => unknown])[];
  /** What a kernel is for: the path of its notebook. */
  nameOf(kernelId: string): string | undefined;
}

/** Show it; resolves when it is closed. */
export async function showDetails(options: IDetailsOptions): Promise<void> {
  const { model, trans, actions, nameOf } = options;
  if (model.session === null) {
    return;
  }
  const node = element('dl', 'details');
  const add = (term: string, description: string): HTMLElement => {
    const value = element('dd', 'description', description);
    node.append(element('dt', 'term', term), value);
    return value;
  };
  rowsOf(model.session, trans).forEach(row => add(...row));
  const kernels = add(trans.__('Kernels'), '…');
  model.kernels().then(
    list =>
      kernels.replaceChildren(
        ...kernelLines(list, nameOf, trans).map(line => element('div', 'kernel', line))
      ),
    () => (kernels.textContent = trans.__('The server does not say'))
  );
  const dialog = new Dialog({
    title: trans.__('Signed in'),
    body: new Widget({ node }),
    buttons: [
      ...actions.map(([label]) => Dialog.createButton({ label, accept: false })),
      Dialog.okButton({ label: trans.__('Close') })
    ]
  });
  const close = (): void => {
    if (model.session === null) {
      dialog.reject(); // nobody's name may stay in the page after its owner is gone
    }
  };
  model.changed.connect(close);
  const { button } = await dialog.launch().finally(() => model.changed.disconnect(close));
  await actions.find(([label]) => label === button.label)?.[1]();
}
