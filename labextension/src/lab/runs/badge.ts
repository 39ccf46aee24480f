/** The badge of one cell: initials, the agent's sign, the time. */
import type { TranslationBundle } from '@jupyterlab/translation';

import { element } from '../../shared/dom.js';
import { discColors } from '../color.js';
import type { IRun, IRunner } from './decode.js';
import { labelOf, timeOf } from './words.js';

const SVG = 'http://www.w3.org/2000/svg';
/** A head with an antenna and two eyes; no font has to have it. */
const AGENT =
  'M7 0h2v3h4a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H3a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2h4z' +
  'M4.5 7v3h2V7zM9.5 7v3h2V7z';

function sign(): SVGElement {
  const [svg, path] = [document.createElementNS(SVG, 'svg'), document.createElementNS(SVG, 'path')];
  svg.setAttribute('class', 'jp-SessionUser-agent');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('aria-hidden', 'true');
  path.setAttribute('d', AGENT);
  path.setAttribute('fill-rule', 'evenodd');
  svg.append(path);
  return svg;
}

function disc(who: IRunner | null): HTMLElement {
  const attributes = { 'aria-hidden': 'true' };
  const node = element('span', 'jp-SessionUser-runner', who?.initials ?? '?', attributes);
  const colors = discColors(who?.color ?? null);
  if (colors !== null) {
    node.style.backgroundColor = colors.background;
    node.style.color = colors.text;
  }
  return node;
}

export class Badge {
  /** @param onClick - Says all of it. */
  constructor(onClick: () => void) {
    this.node.addEventListener('click', event => {
      event.stopPropagation(); // a click selects the cell, and takes the focus
      onClick();
    });
    this.node.addEventListener('mousedown', event => event.stopPropagation());
    // The notebook's keys: Enter would begin to edit the cell.
    this.node.addEventListener('keydown', event => {
      if (event.key === 'Enter' || event.key === ' ') {
        event.stopPropagation();
      }
    });
  }

  show(run: IRun, now: number, trans: TranslationBundle): void {
    const label = labelOf(run, now, trans);
    if (label === this._label) {
      return;
    }
    this._label = label;
    this.node.setAttribute('aria-label', label);
    this.node.title = label;
    this.node.classList.toggle('jp-mod-recorded', run.isRecorded);
    this.node.classList.toggle('jp-mod-running', run.status === null);
    const time = element('span', 'jp-SessionUser-time', timeOf(run.start, now));
    const agent = run.who?.agent !== null && run.who !== null ? [sign()] : [];
    this.node.replaceChildren(disc(run.who), ...agent, time);
  }

  readonly node = element('button', 'jp-SessionUser-run', '', { type: 'button' });
  private _label = '';
}
