/**
 * Keeping something alive: a feed of events that goes on where it broke off, a
 * wait that is ended when the network is back, and a job that is polled until it
 * is done.
 */
import { Console, Duration, Effect, Fiber, Option, Schema, Stream } from "effect"
import { Supervise } from "effect-resilience"

class ConnectionLost extends Schema.TaggedError<ConnectionLost>()("ConnectionLost", {}) {}

// A server that sends three events to a connection, from the one on that it is asked for, and then hangs up.
const subscribe = (lastEvent: Option.Option<number>) => {
  const next = Option.match(lastEvent, { onNone: () => 1, onSome: (last) => last + 1 })
  return Stream.make(next, next + 1, next + 2).pipe(Stream.concat(Stream.fail(new ConnectionLost())))
}

const followFeed = Effect.gen(function*() {
  const feed = yield* Supervise.make("feed", {
    backoff: { kind: "exponential", base: "20 millis", cap: "1 second" },
    jitter: "none"
  })
  yield* feed.stream(subscribe).pipe(
    Stream.take(8),
    Stream.runForEach((event) => Console.log(`event ${event}`))
  )
})

const waitForTheNetwork = Effect.gen(function*() {
  let isOnline = false
  const link = yield* Supervise.make("link", { backoff: { kind: "constant", delay: "1 hour" }, jitter: "none" })

  // a status line for people
  const statusLine = Stream.runForEach(link.states, (state) => {
    switch (state._tag) {
      case "Down":
        return Console.log(`link: down, try ${state.attempt + 1} in ${Duration.format(state.delay)}`)
      case "Idle":
      case "Ended":
        return Effect.void
      default:
        return Console.log(`link: ${state._tag.toLowerCase()}`)
    }
  })
  yield* Effect.forkChild(statusLine, { startImmediately: true })

  // `open` makes the connection, the second effect lasts as long as the connection is well
  const open = Effect.suspend(() => isOnline ? Effect.succeed("a socket") : Effect.fail(new ConnectionLost()))
  const connection = yield* link.connect(open, () => Effect.never)
  const client = yield* Effect.forkChild(connection.get)
  yield* Effect.sleep("20 millis")

  // the network is back: nobody waits for an hour
  isOnline = true
  yield* link.wake
  const socket = yield* Fiber.join(client)
  yield* Effect.sleep("20 millis")
  yield* Console.log(`the client has ${socket}`)
}).pipe(Effect.scoped)

const waitForTheJob = Effect.gen(function*() {
  let percent = 0
  const job = Effect.sync(() =>
    (percent += 40) < 100 ? { state: "running", percent } as const : { state: "done" } as const
  )
  const done = yield* Supervise.pollUntil(job, {
    until: (status) => status.state === "done",
    interval: { kind: "constant", delay: "10 millis" },
    timeout: "1 minute"
  })
  yield* Console.log(`the job is ${done.state}`)
})

await Effect.runPromise(Effect.andThen(followFeed, Effect.andThen(waitForTheNetwork, waitForTheJob)))
