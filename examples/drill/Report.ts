/**
 * The report: one HTML file that needs nothing else, with the plots of a drill and all of its figures as tables.
 *
 * uPlot and the script are inlined. Nothing is fetched, and a Content-Security-Policy that names the hashes of what is
 * in the page allows nothing else to run; every text is escaped besides (report/Html.ts).
 */
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { gatewayNames, serviceNames } from "./Names.ts"
import { type Gateway, gateways, type Recording } from "./Recording.ts"
import { type Html, json, markup, trusted } from "./report/Html.ts"
import * as Series from "./report/Series.ts"
import * as Tables from "./report/Tables.ts"
import { headline, make as summarize, type Summary } from "./Summary.ts"
import * as Table from "./Table.ts"
import { percent, time } from "./Words.ts"

/** The page, as the text of a file. */
export const html = (recording: Recording, summary: Summary = summarize(recording)): string => {
  const { library, script, styles } = assets()
  const series = Series.make(recording, summary.outages)
  const policy = [
    "default-src 'none'",
    "img-src data:",
    `script-src ${hash(library)} ${hash(script)}`,
    `style-src ${hash(styles)}`,
    "base-uri 'none'",
    "form-action 'none'"
  ].join("; ")
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Outage drill: ${recording.scenario}, ${recording.seconds} s</title>
<link rel="icon" href="data:,">
<style>${trusted(styles)}</style>
</head>
<body>
<main>
<div id="picture">
${top(recording, summary)}
${plots(summary)}
</div>
${scrub(series.edges.length - 1)}
${Tables.all(recording, summary)}
</main>
<script type="application/json" id="series">${json(series)}</script>
<script>${trusted(library)}</script>
<script>${trusted(script)}</script>
</body>
</html>
`.toString()
}

const hash = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`

const assets = () => {
  const uPlot = dirname(createRequire(import.meta.url).resolve("uplot"))
  const read = (...path: ReadonlyArray<string>) => inlined(readFileSync(join(...path), "utf8"))
  const own = join(import.meta.dirname, "report")
  const license = read(uPlot, "..", "LICENSE").replaceAll("*/", "")
  return {
    library: `/*\nuPlot\n${license}*/\n${read(uPlot, "uPlot.iife.min.js")}`,
    script: `{\n${read(own, "page.js")}}\n`,
    styles: `${read(uPlot, "uPlot.min.css")}\n${read(own, "page.css")}`
  }
}

/** Text within an element of script or style, which nothing can escape there, must not end it. */
const inlined = (text: string): string => {
  if (/<\/(script|style)|<!--/i.test(text)) throw new Error("this file cannot be inlined: it would end its element")
  // a browser reads the line ends of a page so, and its hash is of what it reads
  return text.replaceAll("\r\n", "\n")
}

const top = (recording: Recording, summary: Summary): Html => {
  const { factor, rate, scenario, seconds, seed } = recording
  return markup`<header>
<h1>Outage drill: ${scenario}, ${seconds} s, ${rate} calls a second, seed ${seed}, times divided by ${
    Table.factorText(factor)
  }</h1>
<p class="headline">${unbroken(headline(summary))}</p>
</header>
<section class="cards" aria-label="The three gateways at a glance">
${gateways.map((gateway) => card(summary, gateway))}
</section>`
}

/** A number and its unit belong on one line, and so does the name. */
const unbroken = (text: string): string => text.replaceAll(" %", "\u00A0%").replaceAll("effect-r", "effect\u2011r")

const card = (summary: Summary, gateway: Gateway): Html => {
  const { calls, hit, load, waits } = summary.gateways[gateway]
  const p99 = waits.p99 === undefined ? "none" : `${waits.p99.inVain ? "over " : ""}${time(waits.p99.millis)}`
  return markup`<article class="card ${gateway}">
<h2>${gatewayNames[gateway]}</h2>
<dl>
<div class="first"><dt>answered while their service was down (${
    unbroken(percent(calls.answered, calls.made))
  } overall)</dt><dd>${percent(hit.answered, hit.made)}</dd></div>
<div><dt>the slowest in a hundred waited (p99)</dt><dd>${p99}</dd></div>
<div><dt>requests sent to services that were down</dt><dd>${load}</dd></div>
</dl>
</article>`
}

const plots = (summary: Summary): Html => {
  const key = (of: string, resting: (gateway: Gateway) => string) =>
    markup`<ul class="key">${
      gateways.map((gateway) =>
        markup`<li>${sample(gateway)} ${gatewayNames[gateway]} <output data-of="${of}" data-gateway="${gateway}">${
          resting(gateway)
        }</output></li>`
      )
    }</ul>`
  const figures = summary.gateways
  const wait = (gateway: Gateway) => {
    const { p95 } = figures[gateway].waits
    return p95 === undefined ? "none" : time(p95.millis)
  }
  const answered = (gateway: Gateway) => percent(figures[gateway].calls.answered, figures[gateway].calls.made)
  const load = (gateway: Gateway) => `${figures[gateway].load} in all`
  const words = (text: (gateway: Gateway) => string) =>
    gateways.map((gateway) => `${gatewayNames[gateway]} ${text(gateway)}`).join(", ")
  return markup`<noscript><p>The plots need JavaScript. The tables below have all of the figures.</p></noscript>
<figure><figcaption><strong>Answered in time</strong>${
    key("answered", answered)
  }<span class="soft">Charges have no fallback, on purpose: effect-resilience refuses them at once while billing is down.</span></figcaption>
<div class="plot" id="plot-answered" role="img" aria-label="Share of calls answered in time, over the run. Overall: ${
    words(answered)
  }."></div></figure>
<figure><figcaption><strong>How long callers waited (p95)</strong>${key("waits", wait)}</figcaption>
<div class="plot" id="plot-waits" role="img" aria-label="How long callers waited, p95 over the run, on a logarithmic scale. Overall: ${
    words(wait)
  }."></div></figure>
<figure><figcaption><strong>The breakers of effect-resilience, a strip for each service</strong>${states}</figcaption>
<div class="plot" id="plot-breakers" role="img" aria-label="States of the breakers over the run. ${
    summary.outages.map(({ gateways: { resilient }, number, phase }) =>
      `Outage ${number}, ${serviceNames[phase.service]}: ${
        resilient.detected === undefined ? "not opened" : `open after ${time(resilient.detected)}`
      }.`
    ).join(" ")
  }"></div></figure>
<figure><figcaption><strong>Requests to services while they were down</strong>${key("load", load)}</figcaption>
<div class="plot" id="plot-load" role="img" aria-label="Requests a second to services while they were down. In all: ${
    words((gateway) => String(figures[gateway].load))
  }."></div></figure>`
}

const lines = {
  plain: { width: 6, dash: "none" },
  retries: { width: 2.5, dash: "7 4" },
  resilient: { width: 3.5, dash: "none" }
} as const satisfies Record<Gateway, { readonly width: number; readonly dash: string }>

const sample = (gateway: Gateway): Html =>
  markup`<svg width="30" height="10" aria-hidden="true"><line class="${gateway}" x1="1" y1="5" x2="29" y2="5" stroke-width="${
    lines[gateway].width
  }" stroke-dasharray="${lines[gateway].dash}"/></svg>`

const states = markup`<ul class="key">
<li><svg width="30" height="14" aria-hidden="true"><line class="resilient" x1="1" y1="7" x2="29" y2="7" stroke-width="2.5"/></svg> closed</li>
<li><svg width="30" height="14" aria-hidden="true"><rect class="state full" x="1" y="1" width="28" height="12"/></svg> open</li>
<li><svg width="30" height="14" aria-hidden="true"><path class="state" d="M1 1h28v12H1zM1 7l6-6M1 13L13 1M7 13L19 1M13 13L25 1M19 13L29 3M25 13l4-4"/></svg> half-open</li>
</ul>`

const scrub = (slices: number): Html =>
  markup`<div class="scrub">
<label for="time"><span>Time</span><input type="range" id="time" min="0" max="${slices - 1}" value="0" step="1"></label>
<output id="readout" for="time" data-resting="Point at a plot, or move the slider, to read all of them at one time.">Point at a plot, or move the slider, to read all of them at one time.</output>
</div>`
