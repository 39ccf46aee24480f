/** The text of style/sessions.css; `bundle.mjs` writes it, and minifies it. */
declare const css: string;
export default css;
