/** The look of report.html: light or dark as the reader's system is, and black on white on paper. */

import { Html } from "./html.js";

/*
 * Colours of lines are of Okabe and Ito's palette, which the colour-blind can tell apart, those with a contrast of 3 to the
 * background; lines differ in their dashes, too.
 */
const LIGHT = `--back:#fff;--text:#1b1f24;--soft:#57606a;--rule:#d0d7de;--panel:#f6f8fa;
--c0:#0072b2;--c1:#d55e00;--c2:#008a65;--c3:#b8609a;`;
const DARK = `--back:#12161b;--text:#e6edf3;--soft:#a3afbb;--rule:#3d4650;--panel:#1b2129;
--c0:#56b4e9;--c1:#e69f00;--c2:#00b98a;--c3:#d999bd;`;

/** Trusted: the page's style sheet. */
export const STYLE = new Html(`
:root{color-scheme:light dark;${LIGHT}}
@media (prefers-color-scheme:dark){:root{${DARK}}}
@media print{:root{color-scheme:light;${LIGHT}}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem 1rem 4rem;max-width:1000px;background:var(--back);color:var(--text);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.7rem;line-height:1.25;margin:.5rem 0 .25rem}
h2{font-size:1.25rem;margin:2.5rem 0 .75rem;padding-top:.75rem;border-top:1px solid var(--rule)}
p{margin:.5rem 0;max-width:75ch}
.note,figcaption,caption,.legend{color:var(--soft);font-size:.875rem}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:.75rem;margin:1.25rem 0}
.figures div{background:var(--panel);border:1px solid var(--rule);border-radius:6px;padding:.6rem .8rem;display:flex;flex-direction:column}
.figures dt{font-size:.8125rem;color:var(--soft);order:2}
.figures dd{margin:0;font-size:1.375rem;font-weight:600;font-variant-numeric:tabular-nums}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,420px),1fr));gap:1.25rem 2rem}
.charts.many{grid-template-columns:repeat(auto-fill,minmax(165px,1fr));gap:1rem}
.charts.few{grid-template-columns:repeat(auto-fill,minmax(min(100%,300px),1fr))}
figure{margin:0;min-width:0}
figcaption{font-weight:600;color:var(--text);margin-bottom:.25rem}
figure.small figcaption{font-size:.8125rem}
figure svg:not(.sample){display:block;width:100%;height:auto}
.small .note{margin:.125rem 0 0;font-size:.75rem}
svg text{fill:var(--soft);font-size:13px;font-family:inherit}
.grid{stroke:var(--rule);stroke-width:1;fill:none}
.axis{stroke:var(--soft);stroke-width:1;fill:none}
.bars{fill:var(--c0)}
.line path{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:butt}
.s0,.s4{--c:var(--c0)}.s1,.s5{--c:var(--c1)}.s2,.s6{--c:var(--c2)}.s3,.s7{--c:var(--c3)}
.s1 path{stroke-dasharray:7 3}.s2 path{stroke-dasharray:2 3}.s3 path{stroke-dasharray:9 3 2 3}
.s4 path{stroke-dasharray:12 4}.s5 path{stroke-dasharray:3 5}.s6 path{stroke-dasharray:12 3 2 3 2 3}.s7 path{stroke-dasharray:5 2 1 2}
.line path{stroke:var(--c)}.line circle{fill:var(--c)}
.one-of-many{--c:var(--c0)}.one-of-many path{stroke-width:1;opacity:.45}
.mean{--c:var(--text)}.mean path{stroke-width:2.5}
.legend{margin:.125rem 0 .25rem}.legend span{display:inline-block;margin-right:1rem}
.sample{width:30px;height:10px}.spark{width:90px;height:20px;vertical-align:middle}
.scroll{overflow-x:auto;margin:.5rem 0}
.scroll:focus-visible,summary:focus-visible,pre:focus-visible{outline:2px solid var(--c0);outline-offset:2px}
table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums}
caption{text-align:left;padding-bottom:.25rem}
th,td{padding:.25rem .75rem .25rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--rule);overflow-wrap:normal;max-width:26rem}
tbody th{font-weight:400}.n{text-align:right}td.n{white-space:nowrap}
details{margin:.25rem 0}summary{cursor:pointer;color:var(--soft);font-size:.8125rem}
.mask{width:100%;height:auto;image-rendering:pixelated;border:1px solid var(--rule);background:var(--back);display:block}
@media (prefers-color-scheme:dark){.mask{filter:brightness(1.6) saturate(.8)}}
pre{background:var(--panel);border:1px solid var(--rule);border-radius:6px;padding:.75rem 1rem;overflow-x:auto;font-size:.8125rem;overflow-wrap:normal}
code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
footer{margin-top:3rem;color:var(--soft);font-size:.8125rem}
@media print{body{max-width:none;padding:0;font-size:11pt}h2{break-after:avoid}figure,.figures div,tr{break-inside:avoid}
.scroll{overflow:visible}pre{white-space:pre-wrap}details{display:none}
.mask{filter:none;-webkit-print-color-adjust:exact;print-color-adjust:exact}.charts{grid-template-columns:1fr 1fr}.charts.many{grid-template-columns:repeat(4,1fr)}}
`);
