/** The settings of the drill's application, from the environment. */
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { gatewayEntry } from "../../examples/drill/Messages.ts"
import * as Processes from "../../examples/drill/Processes.ts"
import * as Settings from "../../examples/drill/Settings.ts"
import { secret } from "./application.ts"

const parse = (env: Record<string, string>) =>
  Settings.settings.parse(ConfigProvider.fromEnv({
    env: {
      CHROMA_SERVER_URL: "http://chroma:6003",
      FILESYSTEM_SERVER_URL: "http://filesystem:6002",
      BILLING_SERVER_URL: "http://billing:6004",
      GIT_SERVER_URL: "http://git:6005",
      INTERNAL_TOKEN: secret,
      ...env
    }
  }))

describe("the settings of the application", () => {
  it.effect("B2: are those of each service, with a url from the environment, where nothing else is said", () =>
    Effect.gen(function*() {
      const { services: { billing, fileSystem, git, vectorStore } } = yield* parse({})
      assert.deepInclude(vectorStore, { retries: 3, timeout: 15_000, failures: 5, recovery: 60_000 })
      assert.deepInclude(fileSystem, { retries: 3, timeout: 20_000, failures: 5, recovery: 60_000 })
      assert.deepInclude(billing, { retries: 2, timeout: 5_000, failures: 10, recovery: 30_000 })
      assert.deepInclude(git, { retries: 3, timeout: 30_000, failures: 5, recovery: 90_000 })
      assert.strictEqual(vectorStore.url.href, "http://chroma:6003/")
    }))

  it.effect("B2: are overridden one by one by the environment, and divided by the factor", () =>
    Effect.gen(function*() {
      const { services: { billing, vectorStore }, time } = yield* parse({
        DRILL_FACTOR: "20",
        CHROMA_MAX_RETRIES: "0",
        CHROMA_TIMEOUT: "8 seconds",
        CHROMA_FAILURE_THRESHOLD: "7",
        CHROMA_RECOVERY_TIMEOUT: "2 minutes",
        BILLING_TIMEOUT: "1 second"
      })
      assert.deepInclude(vectorStore, { retries: 0, timeout: 400, failures: 7, recovery: 6_000 })
      assert.deepInclude(billing, { retries: 2, timeout: 50, failures: 10, recovery: 1_500 })
      assert.strictEqual(time(30), 1_500)
    }))

  for (
    const [name, value] of [
      ["CHROMA_SERVER_URL", "nowhere"],
      ["FILESYSTEM_MAX_RETRIES", "-1"],
      ["BILLING_TIMEOUT", "soon"],
      ["GIT_TIMEOUT", "0 seconds"],
      ["CHROMA_TIMEOUT", "Infinity"],
      ["GIT_FAILURE_THRESHOLD", "0"],
      ["DRILL_FACTOR", "none"]
    ] as const
  ) {
    it.effect(`B2: ${name}=${value} is refused by name`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(parse({ [name]: value }))
        assert.include(error.message, name)
        assert.notInclude(error.message, secret)
      }))
  }

  it.effect("B4: a token that no header can carry is refused, and not shown", () =>
    Effect.gen(function*() {
      const { message } = yield* Effect.flip(parse({ INTERNAL_TOKEN: "töken" }))
      assert.include(message, "INTERNAL_TOKEN")
      assert.notInclude(message, "töken")
    }))

  it.live("B2: that are wrong keep a gateway's process from starting, which says so, and shows no token", () =>
    Effect.gen(function*() {
      const { died } = yield* Processes.start({
        name: "gateway",
        entry: gatewayEntry,
        environment: {
          DRILL_GATEWAY: "resilient",
          DRILL_FACTOR: "20",
          INTERNAL_TOKEN: secret,
          CHROMA_SERVER_URL: "http://127.0.0.1:1",
          FILESYSTEM_SERVER_URL: "http://127.0.0.1:1",
          BILLING_SERVER_URL: "http://127.0.0.1:1",
          GIT_SERVER_URL: "http://127.0.0.1:1",
          GIT_TIMEOUT: "a while"
        },
        onNotice: () => {}
      })
      const { message } = yield* Effect.flip(died)
      assert.include(message, "GIT_TIMEOUT")
      assert.notInclude(message, secret)
    }))
})
