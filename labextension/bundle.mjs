/** Bundles the scripts that Python serves, from what tsc has made in lib/, and JupyterLab's style. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { rspack } from '@rspack/core';

const here = path => fileURLToPath(new URL(path, import.meta.url));

for (const [style, script] of [
  ['base', 'lib/lab/css.js'],
  ['agents', 'lib/lab/agents/css.js'],
  ['runs', 'lib/lab/runs/css.js'],
  ['sessions', 'lib/lab/sessions/css.js']
]) {
  const css = readFileSync(here(`style/${style}.css`), 'utf8')
    .replace(/\/\*.*?\*\//gs, '')
    .replace(/\s+/g, ' ')
    .replace(/ ?([{};,]) ?/g, '$1')
    .trim();
  writeFileSync(here(script), `export default ${JSON.stringify(css)};\n`);
}

const common = {
  mode: 'production',
  context: here('.'),
  target: ['web', 'es2020'],
  devtool: false
};
const output = { path: here('../jupyter_session_user/dist'), filename: '[name].js' };

const compiler = rspack([
  {
    ...common,
    entry: { banner: './lib/banner/index.js' },
    // anywidget and Panel import it as a module.
    output: { ...output, module: true, library: { type: 'modern-module' } },
    experiments: { outputModule: true }
  },
  {
    ...common,
    entry: {
      jupyter_session_user: './lib/pages/bokeh.js', // Bokeh wants the package's name
      preview_banner: './lib/banner/preview.js',
      remoteEntry: './lib/banner/container.js',
      signed_in: './lib/pages/signed_in.js',
      tour: './lib/pages/tour.js'
    },
    output
  }
]);

const report = (failure, stats) => {
  if (failure || stats.hasErrors()) {
    console.error(failure ?? stats.toString('errors-only'));
    process.exitCode = 1;
  }
};

if (process.argv.includes('--watch')) {
  compiler.watch({}, report);
} else {
  compiler.run((...result) => {
    report(...result);
    compiler.close(() => undefined);
  });
}
