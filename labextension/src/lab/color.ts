/** A readable pair of colours for the disc with the initials. Pure. */

export interface IColors {
  readonly background: string;
  readonly text: string;
}

const LIGHT = '#ffffff';
/** Black and no softer: on some mid tones anything else, and white too, would miss AA. */
const DARK = '#000000';

/** JupyterLab's own colours for people; pale in both themes, so the text is dark. */
const COLLABORATOR = /^var\(--jp-collaborator-color[1-7]\)$/;
const HEX = /^#(?:[0-9a-f]{3}|[0-9a-f]{6})$/i;

/** Relative luminance of a background below which white text has WCAG 2.2 AA's contrast, 4.5:1. */
const WHITE_PASSES_BELOW = 1.05 / 4.5 - 0.05;

function channels(hex: string): [number, number, number] {
  const digits = hex.length === 4 ? hex.replace(/[0-9a-f]/gi, '$&$&') : hex;
  const value = parseInt(digits.slice(1), 16);
  return [(value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff];
}

/** WCAG 2.2 relative luminance, 0 for black to 1 for white. */
function luminance(hex: string): number {
  const [red, green, blue] = channels(hex).map(channel => {
    const part = channel / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/**
 * Colours for a user's disc, or null for the theme's neutral ones.
 *
 * Only colours with a known brightness are taken: for any other, the contrast of the initials is
 * unknown.
 */
export function discColors(color: string | null): IColors | null {
  const background = color?.trim() ?? '';
  if (COLLABORATOR.test(background)) {
    return { background, text: DARK };
  }
  if (!HEX.test(background)) {
    return null;
  }
  return { background, text: luminance(background) < WHITE_PASSES_BELOW ? LIGHT : DARK };
}
