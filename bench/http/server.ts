/** The server of the HTTP group, in a process of its own: what it costs is not what a client costs. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { body, flakyPath } from "./plan.ts"

const met = new Set<string>()

const server = createServer((request, response) => {
  const { url = "" } = request
  // the first request to each flaky path fails
  const fails = url.startsWith(flakyPath) && !met.has(url)
  if (fails) met.add(url)
  response.writeHead(fails ? 503 : 200, { "content-type": "application/json", "content-length": body.length })
  response.end(body)
})
server.keepAliveTimeout = 60_000
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port))
// whoever has started it is gone
process.on("disconnect", () => process.exit(0))
