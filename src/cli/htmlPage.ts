// htmlPage: the frame of a page that needs no network and no script.

import { escaped } from './markup.js'
import { pageStyle } from './pageStyle.js'

/** A whole HTML document; `header` and `sections` are markup. */
export function htmlPage(title: string, header: string, sections: readonly string[]): string {
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    // What a model writes stands on such a page: nothing may load, nothing may run.
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
    `<title>${escaped(title)}</title>`,
    `<style>${pageStyle}</style>`,
    '</head>',
    '<body>',
    `<header>${header}</header>`,
    '<main>',
    ...sections,
    '</main>',
    '</body>',
    '</html>',
    '',
  ].join('\n')
}

/** A part of a page under a heading. */
export const section = (heading: string, content: string): string =>
  `<section><h2>${escaped(heading)}</h2>\n${content}\n</section>`
