/**
 * The banner that says when a login, the server or the kernel of this page is gone.
 *
 * One file for three places: an anywidget (JupyterLab, Notebook 7, Voila, marimo), a component
 * of Panel, and the extension of Voila's pages.
 */
import { render } from './widget.js';

export { bannerOfPage } from './voila.js';

export default { render };
