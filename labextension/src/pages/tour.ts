/** The page of the demo: windows side by side, links to copy, and the seconds that a login lasts. */

/** Below this width, a window of half the screen is too narrow: the link opens a tab. */
const NARROW = 1000;

for (const link of document.querySelectorAll<HTMLAnchorElement>('a[data-half]')) {
  link.addEventListener('click', event => {
    const half = Math.floor(screen.availWidth / 2);
    if (half * 2 < NARROW || event.ctrlKey || event.metaKey || event.shiftKey) {
      return;
    }
    const left = link.dataset.half === 'right' ? half : 0;
    const place = `popup,left=${left},top=0,width=${half},height=${screen.availHeight}`;
    if (window.open(link.href, link.target, place)) {
      event.preventDefault();
    }
  });
}

for (const button of document.querySelectorAll<HTMLButtonElement>('button[data-copy]')) {
  button.addEventListener('click', () => {
    void navigator.clipboard.writeText(button.dataset.copy ?? '').then(() => {
      button.textContent = 'Copied: paste it into a private window';
    });
  });
}

for (const place of document.querySelectorAll<HTMLElement>('[data-left]')) {
  const end = performance.now() + Number(place.dataset.left) * 1000;
  const tick = setInterval(() => {
    const left = Math.max(0, Math.ceil((end - performance.now()) / 1000));
    place.textContent = left > 0 ? `ends in ${left} s` : 'is over; look at the window';
    if (left === 0) {
      clearInterval(tick);
    }
  }, 500);
}
