// pageStyle: the style of report.html: light and dark, and no wider than a phone.

/** A style sheet; it names no file and no font of its own. */
export const pageStyle = `
:root { color-scheme: light dark; --page: #fff; --text: #1f2328; --quiet: #59636e; --edge: #d1d9e0; --card: #f6f8fa;
  --line: #0b62c4; --deleted: #b3261e; --mask: #8a5a00; --filled: #116329 }
@media (prefers-color-scheme: dark) { :root { --page: #0d1117; --text: #e6edf3; --quiet: #9198a1; --edge: #3d444d;
  --card: #151b23; --line: #6cb0ff; --deleted: #ff7b72; --mask: #e3b341; --filled: #56d364 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem; max-width: 78rem; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { font-size: 1.5rem; margin: .5rem 0 } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem } h3 { font-size: 1rem }
p, dd, figcaption, th { color: var(--quiet) } a { color: var(--line) }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 9rem), 1fr)); gap: .5rem 1rem; margin: 0 }
dt { color: var(--quiet); font-size: .85rem } dd { margin: 0; color: var(--text); font-weight: 600 }
.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); gap: 1rem }
figure { margin: 0; padding: .5rem; border: 1px solid var(--edge); border-radius: 6px; background: var(--card) }
figcaption b { color: var(--text); float: right }
svg { display: block; width: 100%; height: auto; font: 11px system-ui, sans-serif } svg text { fill: var(--quiet) }
.grid { stroke: var(--edge); stroke-width: 1 } .band { fill: var(--line); opacity: .2 }
.line { fill: none; stroke: var(--line); stroke-width: 1.6; stroke-linejoin: round } .dot { fill: var(--line) }
.wide { overflow-x: auto; border: 1px solid var(--edge); border-radius: 6px }
.wide:focus-visible, summary:focus-visible { outline: 2px solid var(--line) }
table { border-collapse: collapse; min-width: 100%; overflow-wrap: normal }
th, td { padding: .3rem .6rem; text-align: right; border-top: 1px solid var(--edge); white-space: nowrap }
th:first-child, td:first-child { text-align: left } tbody th { font-weight: 400; color: var(--text) }
.trace { padding: .75rem; border: 1px solid var(--edge); border-radius: 6px; background: var(--card); margin: 0 0 1rem;
  font: 13px/1.6 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; white-space: pre-wrap }
.label, .note { color: var(--quiet) } .mask { color: var(--mask) }
del { color: var(--deleted); background: color-mix(in srgb, var(--deleted) 12%, transparent) }
ins { color: var(--filled); background: color-mix(in srgb, var(--filled) 14%, transparent); font-weight: 700;
  text-decoration: none }
/* A line that is too long goes on under its text, not under its label. */
.trace div { padding-left: 11ch; text-indent: -11ch; min-height: 1.6em }
pre { white-space: pre-wrap; font-size: 13px } summary { cursor: pointer }
`
