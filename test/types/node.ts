/** What the types of the Node part promise. Checked by the compiler alone. */
import { Config, type Effect, type Layer } from "effect"
import type { HttpClient } from "effect/http"
import { ConnectionPool } from "../../src/node/index.ts"
import type { Equal, Expect } from "./assert.ts"

const pool = ConnectionPool.layer({ connections: 1, lifetime: "1 minute" })
const configured = ConnectionPool.layerConfig({ connections: Config.Int("CONNECTIONS") })
type Provided = ConnectionPool.ConnectionPool | HttpClient.HttpClient

export type Pools = [
  Expect<Equal<typeof pool, Layer.Layer<Provided>>>,
  Expect<Equal<typeof configured, Layer.Layer<Provided, Config.ConfigError>>>,
  Expect<
    Equal<
      ConnectionPool.ConnectionPool["Service"]["snapshot"],
      Effect.Effect<ReadonlyArray<ConnectionPool.Snapshot>>
    >
  >
]

// @ts-expect-error there is no such option
ConnectionPool.layer({ conections: 1 })
