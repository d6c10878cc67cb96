/** The page of the dashboard: what is there before the first frame, and what its script fills in. */
export interface Page {
  readonly title: string
  /** Where the style and the script are, from the page. */
  readonly assets: string
  /** The names of the modules that it loads, of which `app.js` is the first. */
  readonly modules: ReadonlyArray<string>
  /** Where the status API is, from the page. */
  readonly api: string
  readonly hasPlots: boolean
}

const entities: { readonly [Character in string]: string } = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "\"": "&quot;",
  "'": "&#39;"
}

const escaped = (text: string): string => text.replace(/[&<>"']/g, (character) => entities[character] ?? "")

export const page = ({ api, assets, hasPlots, modules, title }: Page): string =>
  `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)}</title>
<link rel="icon" href="data:,">
${hasPlots ? `<link rel="stylesheet" href="${escaped(assets)}/uplot.css">\n` : ""}<link rel="stylesheet" href="${
    escaped(assets)
  }/style.css">
${
    modules.map((name) => `<link rel="modulepreload" href="${escaped(assets)}/${name}">\n`).join("")
  }<script type="module" src="${escaped(assets)}/app.js"></script>
</head>
<body data-api="${escaped(api)}" data-plots="${hasPlots}">
<header>
<div class="top">
<h1>${escaped(title)}</h1>
<p class="link" id="link" role="status">Connecting</p>
</div>
<p class="hidden" id="said" role="status"></p>
<form class="ask" id="ask-token" hidden>
<p id="token-note" role="alert"></p>
<input type="text" name="username" autocomplete="username" value="status" hidden>
<label for="read-token">Token<input type="password" id="read-token" autocomplete="current-password" aria-describedby="token-note"></label>
<button class="act">Connect</button>
</form>
<dl class="sums" id="sums"></dl>
</header>
<main>
<form class="tools" role="search" id="tools">
<label class="find" for="find">Find a service<input type="search" id="find" autocomplete="off" spellcheck="false"></label>
<label for="sort">Sort by<select id="sort">
<option value="trouble">Trouble</option><option value="name">Name</option><option value="rate">Requests</option><option value="p99">p99</option>
</select></label>
<label for="past">Timeline<select id="past"><option value="auto" selected>Automatic</option><option value="1">1 minute</option><option value="10">10 minutes</option><option value="60">1 hour</option></select></label>
<p id="shown"></p>
</form>
<div class="head" aria-hidden="true"><span>Service</span><span>State</span><span id="past-head"></span><span>Req/s</span><span>Success</span><span>Refused/s</span><span>p50</span><span>p95</span><span>p99</span><span>Retries/s</span><span>In flight</span></div>
<ol class="rows" id="rows" aria-label="Services"></ol>
<p class="empty" id="empty" hidden></p>
<footer>Rates are of the last 5 seconds, success of the last 30, latencies of calls that were not refused in the last minute at most, in milliseconds.${
    hasPlots ? "" : " Plots need the package uplot beside effect-resilience on the server; all else works without it."
  } <noscript>This page needs JavaScript.</noscript></footer>
</main>
</body>
</html>
`
