/** The user's menu: ours at the chip, or part of the one that jupyter-collaboration has. */
import { Menu, MenuBar, type Widget } from '@lumino/widgets';

import {
  type Commands,
  LOG_IN,
  LOG_OUT,
  LOG_OUT_EVERYWHERE,
  SHOW_AGENTS,
  SHOW_DETAILS,
  SHOW_SESSIONS
} from './plugins/plugin.js';

function fill(menu: Menu): void {
  // No separators: Lumino's break the menu's list for screen readers.
  menu.addItem({ command: SHOW_DETAILS, args: { isInMenu: true } });
  menu.addItem({ command: SHOW_AGENTS });
  menu.addItem({ command: SHOW_SESSIONS });
  menu.addItem({ command: LOG_IN });
  menu.addItem({ command: LOG_OUT });
  menu.addItem({ command: LOG_OUT_EVERYWHERE });
}

/** Open the menu below its button; the focus returns to the button. */
export function openMenu(commands: Commands, button: HTMLElement): void {
  const menu = new Menu({ commands });
  fill(menu);
  menu.aboutToClose.connect(() => {
    button.setAttribute('aria-expanded', 'false');
    button.focus();
    // Its click has still to run its command.
    setTimeout(() => menu.dispose());
  });
  button.setAttribute('aria-expanded', 'true');
  const { right, bottom } = button.getBoundingClientRect();
  menu.open(right, bottom, { horizontalAlignment: 'right' });
}

/** The menu bar of jupyter-collaboration, which has one menu. */
const USER_MENU = 'jp-UserMenu';

const joined = new WeakSet<Menu>();

/**
 * Put our entries into the user's menu that jupyter-collaboration has in the same bar.
 *
 * @returns Whether there is such a menu.
 */
export function joinMenu(widgets: Iterable<Widget>): boolean {
  const bar = [...widgets].find(widget => widget.id === USER_MENU);
  const menu = bar instanceof MenuBar ? bar.menus[0] : undefined;
  if (menu !== undefined && !joined.has(menu)) {
    joined.add(menu);
    fill(menu);
  }
  return menu !== undefined;
}
