/** A dialog whose body handles the Enter key itself: its buttons and forms want the key. */
import { Dialog } from '@jupyterlab/apputils';

export class BodyDialog extends Dialog<unknown> {
  override handleEvent(event: Event): void {
    const isInBody = event.target instanceof Element && event.target.closest('.jp-Dialog-body');
    if (event instanceof KeyboardEvent && event.key === 'Enter' && isInBody) {
      return; // JupyterLab would close the dialog
    }
    super.handleEvent(event);
  }
}
