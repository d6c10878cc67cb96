/** The tables of the report: every figure that the plots show, and those that they do not. */
import { faultNames, gatewayNames, operationOf, serviceNames } from "../Names.ts"
import { gateways, type Recording } from "../Recording.ts"
import type { Outage, Summary } from "../Summary.ts"
import * as Table from "../Table.ts"
import { percent, time } from "../Words.ts"
import { type Html, markup } from "./Html.ts"

export const all = (recording: Recording, summary: Summary): Html =>
  markup`<h2>The figures</h2>
${figures(summary)}
${dead(summary, recording.factor)}
${outages(summary.outages)}
<h2>What effect-resilience has to keep</h2>
<p class="verdict ${summary.verdict}">${Table.verdictText(summary)}</p>
<ul class="targets">${
    summary.targets.map(({ held, seen, wanted }) =>
      markup`<li><b>${held ? "kept" : "MISSED"}</b>${wanted}: ${seen}</li>`
    )
  }</ul>
<h2>How it was measured</h2>
<ul class="notes">${Table.notes.map((note) => markup`<li>${note}</li>`)}
<li>Three gateways ran at the same time, each with four services of its own, in processes of their own, over real
sockets; each was sent the same calls at the same instants, whatever had become of those before.</li>
<li>Plots: the calls are gathered by the time at which they were due. Deadlines, divided like all times by ${recording.factor}: ${
    Object.entries(recording.deadlines).map(([operation, deadline]) => `${operation} ${time(deadline)}`).join(", ")
  }.</li>
${
    recording.busy.map(({ loopDelayP99, process }) =>
      markup`<li>Event loop of ${process}: ${time(loopDelayP99)} late at p99.</li>`
    )
  }</ul>`

const heads = gateways.map((gateway) => markup`<th scope="col" class="${gateway}">${gatewayNames[gateway]}</th>`)

const figures = (summary: Summary): Html =>
  markup`<table>
<caption>The three gateways under the same calls and the same faults.</caption>
<thead><tr><th scope="col">figure</th>${heads}</tr></thead>
<tbody>${
    Table.rows(summary).map(({ isPart, name, texts }) =>
      markup`<tr class="${isPart ? "part" : "whole"}"><th scope="row">${name}</th>${
        gateways.map((gateway) => markup`<td class="${gateway}">${texts[gateway]}</td>`)
      }</tr>
`
    )
  }</tbody>
</table>`

const dead = (summary: Summary, factor: number): Html => {
  const rows = Table.deadRows(summary, factor)
  if (rows.length === 0) return markup``
  return markup`<h2>${Table.deadTitle}</h2>
<table>
<caption>First when the service has just died, later when breakers have had the time to open. Times undivided.</caption>
<thead><tr><th scope="col">the vector store, and the gateway</th><th scope="col">first call</th><th scope="col">later calls</th></tr></thead>
<tbody>${
    rows.map(({ first, later, name }) =>
      markup`<tr><th scope="row">${name}</th><td>${first}</td><td>${later}</td></tr>
`
    )
  }</tbody>
</table>`
}

const outages = (list: ReadonlyArray<Outage>): Html =>
  markup`<h2>Outage by outage</h2>
<div class="scroll" role="region" aria-label="Outage by outage" tabindex="0">
<table>
<caption>Detected and recovered by effect-resilience; answered while it lasted, of the calls that needed the service.</caption>
<thead><tr><th scope="col">outage</th><th scope="col">from, to</th><th scope="col">detected</th><th scope="col">recovered</th>${heads}</tr></thead>
<tbody>${list.map(outage)}</tbody>
</table>
</div>`

const outage = ({ gateways: ordeals, number, phase }: Outage): Html => {
  const { at, fault, service, until } = phase
  const { detected, recovered } = ordeals.resilient
  const seconds = (millis: number) => (millis / 1000).toFixed(1)
  return markup`<tr><th scope="row">${number} ${serviceNames[service]} ${faultNames[fault]}</th>
<td>${seconds(at)} to ${seconds(until)} s</td>
<td>${detected !== undefined ? time(detected) : fault === "throttle" ? "backed off" : "not"}</td>
<td>${recovered === undefined ? "not seen" : time(recovered)}</td>${
    gateways.map((gateway) => {
      const { calls: { answered, made, refused } } = ordeals[gateway]
      const told = refused > 0 ? `, ${percent(refused, made)} told why not` : ""
      return markup`<td class="${gateway}">${percent(answered, made)} of ${made} ${operationOf[service]}s${told}</td>`
    })
  }</tr>
`
}
