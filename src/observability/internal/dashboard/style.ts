/** How the dashboard looks: from 360 to 2,000 pixels, light and dark, by what the reader's system asks for. */
export const style = String.raw`
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --line: #dfe3e8; --text: #16202c; --soft: #566270; --focus: #1f5fd0;
  --good: #146b3e; --good-soft: #dff3e7; --bad: #c0262d; --bad-soft: #fde4e4; --warn: #805300; --warn-soft: #fdf0d0;
  --hand: #6a3fc0; --hand-soft: #ece4fb; --none: #5c6773; --none-soft: #e9edf1;
  --strip-good: #7cc79a; --strip-bad: #d8434a; --strip-warn: #e5a92c; --strip-hand: #9a79de; --strip-none: #d5dbe1;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f141a; --card: #171e26; --line: #2a343f; --text: #e7ecf1; --soft: #9fadba; --focus: #7db0ff;
    --good: #6fd6a0; --good-soft: #12392a; --bad: #ff9a98; --bad-soft: #4d1a1d; --warn: #f4c669; --warn-soft: #43320d;
    --hand: #c4abff; --hand-soft: #33255a; --none: #a9b5c1; --none-soft: #27313b;
    --strip-good: #2f8f60; --strip-bad: #e25b5f; --strip-warn: #d29a25; --strip-hand: #8465cf; --strip-none: #33404c;
  }
}
* { box-sizing: border-box; }
html { font: 15px/1.45 system-ui, sans-serif; background: var(--page); color: var(--text); }
body { margin: 0; font-variant-numeric: tabular-nums; }
main, header { max-width: 1880px; margin: 0 auto; padding: 0 clamp(12px, 2vw, 32px); }
header { padding-top: 20px; }
h1 { font-size: 1.45rem; letter-spacing: -.01em; margin: 0; }
h2 { font-size: .95rem; margin: 0 0 8px; }
.top { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: center; justify-content: space-between; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; border-radius: 6px; }

.link { display: inline-flex; gap: 8px; align-items: center; color: var(--soft); font-size: .9rem; margin: 0; }
.link::before { content: ""; width: 9px; height: 9px; border-radius: 50%; background: var(--strip-none); }
.link[data-link="live"]::before { background: var(--strip-good); }
.link[data-link="lost"] { color: var(--bad); font-weight: 600; position: fixed; z-index: 1; bottom: 12px; left: 12px; right: 12px; margin: 0 auto; width: fit-content;
  background: var(--card); border: 2px solid var(--strip-bad); border-radius: 10px; padding: 10px 14px; }
body.stale { padding-bottom: 90px; }
.link[data-link="lost"]::before { background: var(--strip-bad); }

.sums { display: grid; grid-template-columns: repeat(auto-fit, minmax(84px, 1fr)); gap: 10px; margin: 16px 0; padding: 0; }
.sums div { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 8px 12px; }
.sums dt { color: var(--soft); font-size: .8rem; }
.sums dd { margin: 0; font-size: 1.5rem; font-weight: 650; letter-spacing: -.02em; }
.sums div[data-on="bad"] dd { color: var(--bad); } .sums div[data-on="warn"] dd { color: var(--warn); }
.sums div[data-on="hand"] dd { color: var(--hand); }

.ask { display: flex; flex-wrap: wrap; gap: 8px 12px; align-items: end; background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px; margin: 14px 0; }
.ask p { flex-basis: 100%; margin: 0; } .ask label { display: grid; gap: 2px; font-size: .8rem; color: var(--soft); flex: 0 1 320px; }

.tools { display: flex; flex-wrap: wrap; gap: 10px; align-items: end; margin-bottom: 12px; }
.tools label { display: grid; gap: 2px; font-size: .8rem; color: var(--soft); }
.tools .find { flex: 1 1 220px; max-width: 460px; }
.tools p:empty { display: none; }
.tools p { margin: 0 0 8px auto; color: var(--soft); font-size: .85rem; }
input, select, button { font: inherit; color: inherit; }
input, select, .act { background: var(--card); border: 1px solid var(--soft); border-radius: 8px; padding: 7px 10px; min-height: 38px; min-width: 0; }
.act { cursor: pointer; } .act:hover { border-color: var(--focus); }

.head, .row { display: grid; gap: 4px 14px; align-items: center; text-align: left;
  grid-template-columns: minmax(150px, 2.2fr) 132px minmax(120px, 2.2fr) repeat(8, minmax(58px, .7fr)); }
.head { padding: 0 14px 6px; color: var(--soft); font-size: .8rem; }
.head span:nth-child(n+4) { text-align: right; }
ol.rows { list-style: none; margin: 0; padding: 0; display: grid; gap: 6px; }
ol.rows > li { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  content-visibility: auto; contain-intrinsic-size: auto 52px; min-width: 0; }
ol.rows > li[data-tone="bad"] { border-color: var(--strip-bad); box-shadow: inset 4px 0 var(--strip-bad); }
ol.rows > li[data-tone="warn"] { border-color: var(--strip-warn); box-shadow: inset 4px 0 var(--strip-warn); }
ol.rows > li[data-tone="hand"] { box-shadow: inset 4px 0 var(--strip-hand); }
.row { width: 100%; background: none; border: 0; border-radius: 10px; padding: 10px 14px; cursor: pointer; min-width: 0; }
.row:hover .name { text-decoration: underline; text-underline-offset: 3px; }
.name { font-weight: 600; overflow-wrap: anywhere; display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical; overflow: hidden; }
.num [data-tone="bad"] { color: var(--bad); font-weight: 600; } .num [data-tone="warn"] { color: var(--warn); font-weight: 600; }
.num { text-align: right; } .num small { display: none; }
.story { grid-column: 1 / -1; display: flex; flex-wrap: wrap; gap: 2px 20px; font-size: .9rem; color: var(--soft); min-width: 0; }
.story > * { overflow-wrap: anywhere; min-width: 0; }
.story .cause { display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical; overflow: hidden; }
.story > :empty, .story:not(:has(> :not(:empty))) { display: none; }
.story .users::before { content: "Callers: "; } .story .cause::before { content: "Last error: "; }
li[data-tone="bad"] .when, li[data-tone="bad"] .users { color: var(--bad); font-weight: 600; }
li[data-tone="hand"] .when { color: var(--hand); font-weight: 600; } li[data-tone="warn"] .when { color: var(--warn); font-weight: 600; } li[data-tone="good"] .when { color: var(--good); }
.state { display: inline-flex; gap: 6px; align-items: center; width: fit-content; border-radius: 99px; padding: 2px 10px; font-size: .85rem; font-weight: 600;
  white-space: nowrap; background: var(--none-soft); color: var(--none); }
.state[data-tone="good"] { background: var(--good-soft); color: var(--good); }
.state[data-tone="bad"] { background: var(--bad-soft); color: var(--bad); }
.state[data-tone="warn"] { background: var(--warn-soft); color: var(--warn); }
.state[data-tone="hand"] { background: var(--hand-soft); color: var(--hand); }
.strip { height: 16px; border-radius: 4px; background: var(--strip-none); display: block; forced-color-adjust: none; }
.stale .rows, .stale .sums { filter: grayscale(1); }
.empty { color: var(--soft); padding: 32px 0; text-align: center; }

.more { border-top: 1px solid var(--line); padding: 14px; display: grid; grid-template-columns: minmax(0, 1fr); gap: 18px; min-width: 0; }
.more .full { white-space: pre-wrap; overflow-wrap: anywhere; font-weight: 600; } [hidden] { display: none !important; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(45%, 168px), 1fr)); gap: 10px 18px; margin: 0; }
.facts dt { color: var(--soft); font-size: .8rem; } .facts dd { margin: 0; overflow-wrap: anywhere; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 18px; }
.plots figure { margin: 0; min-width: 0; } .plots figcaption { font-size: .95rem; font-weight: 700; margin-bottom: 4px; }
.bar .strip { height: 22px; } .ends { display: flex; justify-content: space-between; color: var(--soft); font-size: .8rem; }
.key { display: flex; flex-wrap: wrap; gap: 4px 14px; font-size: .8rem; color: var(--soft); margin: 6px 0 0; padding: 0; list-style: none; }
.key i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 5px; }
.key .good { background: var(--strip-good); } .key .warn { background: var(--strip-warn); } .key .bad { background: var(--strip-bad); } .key .hand { background: var(--strip-hand); }
.log { margin: 0; padding: 0; list-style: none; display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: .87rem; }
.log li { overflow-wrap: anywhere; min-width: 0; } .log time { color: var(--soft); }
.by-hand { display: flex; flex-wrap: wrap; gap: 8px; align-items: end; } .by-hand label { display: grid; gap: 2px; font-size: .8rem; color: var(--soft); min-width: 0; }
.by-hand select { max-width: min(100%, 320px); } .by-hand output { flex-basis: 100%; }
summary { cursor: pointer; font-weight: 600; width: fit-content; } details > form { margin-top: 10px; }
.note { color: var(--soft); font-size: .87rem; margin: 0; }
footer { color: var(--soft); font-size: .82rem; padding: 18px 0 28px; }
.u-legend { color: var(--text); font-size: 12px; } .u-legend th, .u-legend td { padding: 2px 6px; }

@media (max-width: 1240px) {
  .head { display: none; }
  .row { grid-template-columns: repeat(auto-fill, minmax(70px, 1fr)); gap: 6px 12px; }
  .row .title { grid-column: 1 / -1; display: flex; gap: 12px; justify-content: space-between; align-items: start; min-width: 0; }
  .row .strip { grid-column: 1 / -1; } .row .story { grid-row: 3; }
  .num { text-align: left; } .num small { display: block; color: var(--soft); font-size: .75rem; font-weight: 400; }
  ol.rows > li { contain-intrinsic-size: auto 150px; }
}
@media (min-width: 1240.1px) { .row .title { display: contents; } }
@media (max-width: 860px) { .sums div { padding: 8px 10px; } .sums dd { font-size: 1.25rem; } }
@media (max-width: 699px) { .row { grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 6px 8px; } .sums { grid-template-columns: repeat(12, 1fr); gap: 8px; } .sums div { grid-column: span 3; padding: 6px 10px; } .sums div:nth-child(n+5) { grid-column: span 4; } .sums dd { font-size: 1.25rem; } }
@media (max-width: 560px) { .tools .find { flex-basis: 100%; max-width: none; } .tools label:not(.find) { flex: 1; } }
@media (max-width: 420px) { .sums div { padding: 6px 8px; } .sums dt { font-size: .72rem; white-space: nowrap; } .row .strip { height: 10px; } }
@media (forced-colors: active) { ol.rows > li[data-tone="bad"] { border: 3px solid; } ol.rows > li[data-tone="warn"] { border: 2px dashed; } .state { border: 1px solid; } }
`
