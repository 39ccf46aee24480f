/**
 * Elements of ours.
 *
 * Names come from other people: they reach the page through textContent and attributes alone,
 * never as markup.
 */
export const CLASS = 'jp-SessionUser';

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  text = ''
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  node.className = `${CLASS}-${className}`;
  node.textContent = text;
  return node;
}
