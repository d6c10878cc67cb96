/** What runs in the browser, by the name of its module. Made by `npm run dashboard` from the folder `browser`. */
export const scripts: { readonly [Name in string]: string } = {
  "app.js": `import { drawDetails, toggle } from "./details.js";
import { byId, inputById, write } from "./elements.js";
import * as keys from "./keys.js";
import { lookedFrom, sample, serverNow, services, take } from "./known.js";
import { arrange, list } from "./order.js";
import { drawRow, serviceAt, viewOf } from "./rows.js";
import * as stream from "./stream.js";
import { drawStrip, getPast, pastWords, setPast } from "./strip.js";
import { drawSums } from "./sums.js";
const { api = "" } = document.body.dataset;
const draw = () => {
    let isNew = false;
    for (const service of services.values()) {
        if (service.view === undefined)
            isNew = true;
        if (service.isDirty)
            drawRow(service);
        if (service.details !== undefined)
            drawDetails(service, service.details);
    }
    if (isNew)
        arrange(true);
    drawSums(stream.live());
};
let isDrawing = false;
const render = () => {
    if (isDrawing)
        return;
    isDrawing = true;
    const turn = () => {
        isDrawing = false;
        draw();
    };
    if (document.hidden)
        setTimeout(turn);
    else
        requestAnimationFrame(turn);
};
const past = inputById("past");
const automatic = () => {
    const seen = serverNow() - lookedFrom();
    return seen < 60_000 ? 1 : seen < 300_000 ? 5 : 10;
};
const stretch = () => {
    const minutes = past.value === "auto" ? automatic() : Number(past.value);
    if (getPast() !== minutes * 60_000) {
        setPast(minutes * 60_000);
        for (const { known, view } of services.values())
            if (view !== undefined)
                drawStrip(view.strip, known);
        render();
    }
    write(byId("past-head"), \`Last \${pastWords()}\`);
};
past.addEventListener("change", stretch);
const turn = (service) => toggle(service, viewOf(service), api);
list.addEventListener("click", ({ target }) => {
    const row = target instanceof Element ? target.closest(".row") : null;
    const service = row === null ? undefined : serviceAt(row);
    if (service !== undefined)
        turn(service);
});
keys.listen(turn);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const service of services.values()) {
        if (service.details === undefined)
            continue;
        turn(service);
        turn(service);
    }
});
stream.follow(\`\${api}/changes\`, {
    onChange: render,
    onFrame: (frame) => {
        for (const { details, view } of take(frame)) {
            details?.plots.remove();
            view?.item.remove();
        }
        render();
        if (!frame.full)
            return;
        stretch();
        arrange(true);
    }
});
let turns = 0;
setInterval(() => {
    if (!stream.live())
        return;
    sample();
    turns++;
    if (services.size > 0)
        stretch();
    for (const service of services.values()) {
        if (service.known.openSince !== null || turns % 8 === 0)
            service.isDirty = true;
        if (service.view === undefined)
            continue;
        if (turns % 4 === 1 || service.known.openSince !== null)
            drawStrip(service.view.strip, service.known);
        service.details?.plots.draw();
    }
    render();
    arrange(false);
}, 1_000);
`,
  "control.js": `import { make } from "./elements.js";
import { authorization, isToken, tokens } from "./tokens.js";
const actions = [
    ["forceOpen", "Force open"],
    ["forceClosed", "Force closed"],
    ["disable", "Disable"],
    ["release", "Release"],
    ["reset", "Reset"]
];
export const breakerWords = ({ key, name }) => key === null ? name : \`\${name} \${JSON.stringify(key)}\`;
const detailOf = (body) => {
    if (typeof body !== "object" || body === null)
        return undefined;
    if ("detail" in body && typeof body.detail === "string")
        return body.detail;
    return "title" in body && typeof body.title === "string" ? body.title : undefined;
};
const send = async (url, body) => {
    if (!isToken(tokens.control))
        return "type your token first";
    try {
        const response = await fetch(url, {
            method: "POST",
            headers: { "content-type": "application/json", ...authorization(tokens.control) },
            body: JSON.stringify(body)
        });
        if (response.ok)
            return undefined;
        if (response.status === 401)
            return "the server does not know this token";
        return detailOf(await response.json().catch(() => undefined)) ?? \`the server answers \${response.status}\`;
    }
    catch {
        return "the server cannot be reached";
    }
};
export const makeControl = (service, url) => {
    let choices = service.known.breakers;
    const which = make("select");
    const fill = () => {
        const chosen = choices[which.selectedIndex];
        choices = service.known.breakers;
        which.replaceChildren(...choices.map((breaker) => make("option", "", breakerWords(breaker))));
        which.selectedIndex = Math.max(0, choices.findIndex(({ key, name }) => key === chosen?.key && name === chosen.name));
    };
    fill();
    which.addEventListener("focus", fill);
    const secret = make("input");
    secret.type = "password";
    secret.autocomplete = "off";
    secret.value = tokens.control === "" ? tokens.read : tokens.control;
    tokens.control = secret.value;
    secret.addEventListener("input", () => {
        tokens.control = secret.value.trim();
    });
    const answer = make("output", "note");
    const buttons = actions.map(([action, word]) => {
        const button = make("button", "act", word);
        button.type = "button";
        button.addEventListener("click", async () => {
            const breaker = choices[which.selectedIndex];
            if (breaker === undefined)
                return;
            answer.value = "";
            const { key, name } = breaker;
            const problem = await send(url, { action, breaker: name, ...(key !== null && { key }) });
            answer.value = problem === undefined ? \`Done: \${word.toLowerCase()}.\` : \`Not done: \${problem}.\`;
        });
        return button;
    });
    const form = make("form", "by-hand", make("label", "", "Breaker", which), make("label", "", "Token", secret), ...buttons, answer);
    form.addEventListener("submit", (event) => event.preventDefault());
    return make("details", "", make("summary", "", "Control by hand"), form);
};
`,
  "details.js": `import { breakerWords, makeControl } from "./control.js";
import { make, write } from "./elements.js";
import { serverNow } from "./known.js";
import { addPlots } from "./plots.js";
import { drawStrip, getPast, makeStrip, pastWords } from "./strip.js";
import { ago, clock, lookOf, number, span, stateWords } from "./words.js";
const counted = (label, counter) => [
    label,
    ({ counts }) => counts === null ? "–" : counts[counter].toLocaleString()
];
const probeOf = (nextProbe) => nextProbe <= serverNow()
    ? "with the next call"
    : \`\${clock(nextProbe)} (in \${span(Math.max(1000, nextProbe - serverNow()))})\`;
const facts = [
    ["Open since", ({ openSince }) => openSince === null ? "–" : \`\${clock(openSince)} (\${ago(openSince)})\`],
    ["Next probe", ({ nextProbe }) => nextProbe === null ? "–" : probeOf(nextProbe)],
    ["Openings", ({ recovery }) => String(recovery.openings)],
    ["Recoveries", ({ recovery }) => String(recovery.recoveries)],
    [
        "Mean time to recovery",
        ({ recovery: { meanTimeToRecovery } }) => meanTimeToRecovery === null ? "–" : span(meanTimeToRecovery)
    ],
    ["Last error", ({ lastError }) => lastError?.kind ?? "–"],
    ["Last error at", ({ lastError }) => lastError === null ? "–" : clock(lastError.at)],
    ["In flight, limit", ({ load }) => load === null ? "no limit" : \`\${load.inFlight} of \${load.limit ?? "any number"}\`],
    ["Waiting", ({ load }) => load === null ? "–" : String(load.waiting)],
    counted("Calls", "calls"),
    counted("Refused", "refusedCalls"),
    counted("Retries", "retries"),
    counted("Timed out", "timedOut"),
    counted("Fallbacks", "fellBack"),
    counted("Cache hits", "cacheHits"),
    ["Retry budget left", ({ budgetLeft }) => budgetLeft === null ? "–" : number(Math.floor(budgetLeft))]
];
const tones = [["good", "closed"], ["warn", "half-open"], ["bad", "open"], ["hand", "held by hand"]];
export const drawDetails = ({ known }, details) => {
    facts.forEach(([, text], n) => {
        const value = details.facts[n];
        if (value !== undefined)
            write(value, text(known));
    });
    drawStrip(details.strip, known);
    write(details.begin, \`\${getPast() < 3_600_000 ? "" : "1 "}\${pastWords()} ago\`);
    const changes = known.timeline.slice(-12).toReversed();
    const told = JSON.stringify(changes);
    if (details.changesShown !== told) {
        details.changesShown = told;
        details.log.replaceChildren(...changes.map(({ at, state }) => {
            const time = make("time", "", clock(at));
            time.dateTime = new Date(at).toISOString();
            return make("li", "", time, \` \${stateWords[state]}\`);
        }));
        if (changes.length === 0)
            details.log.replaceChildren(make("li", "", "none that was seen"));
    }
    details.breakers.hidden = known.breakerCount < 2 && known.breakers[0]?.key === null;
    const { length } = known.breakers;
    const states = known.breakers.map((breaker) => [breakerWords(breaker), lookOf(breaker).word]);
    const shown = JSON.stringify([states, known.breakerCount]);
    if (details.breakersShown !== shown) {
        details.breakersShown = shown;
        details.breakerList.replaceChildren(...states.map(([name, word]) => make("li", "", make("bdi", "", name), \`: \${word}\`)));
        if (known.breakerCount > length) {
            details.breakerList.append(make("li", "", \`and \${known.breakerCount - length} more\`));
        }
    }
};
const open = (service, { button, item }, api) => {
    const { name } = service.known;
    const full = make("bdi", "full", name);
    full.hidden = name.length < 40 && !name.includes("\\n");
    const values = facts.map(() => make("dd"));
    const pairs = facts.map(([label], n) => make("div", "", make("dt", "", label), values[n] ?? ""));
    const strip = makeStrip(make("span", "strip"));
    const begin = make("span");
    const log = make("ol", "log");
    const breakerList = make("ol", "log");
    const breakers = make("section", "", make("h2", "", "Breakers"), breakerList);
    const figures = make("div", "plots");
    const panel = make("div", "more", full, make("dl", "facts", ...pairs), figures, make("section", "bar", make("h2", "", "States"), strip, make("div", "ends", begin, make("span", "", "now")), make("ul", "key", ...tones.map(([tone, word]) => make("li", "", make("i", tone), word)))), make("section", "", make("h2", "", "Last changes"), log), breakers);
    if (service.known.breakerCount > 0)
        panel.append(makeControl(service, \`\${api}/control\`));
    panel.id = \`\${item.id}-more\`;
    button.setAttribute("aria-controls", panel.id);
    item.append(panel);
    button.ariaExpanded = "true";
    const plots = addPlots(service, figures);
    return {
        panel,
        facts: values,
        strip,
        begin,
        log,
        breakers,
        breakerList,
        plots,
        changesShown: "",
        breakersShown: ""
    };
};
export const toggle = (service, view, api) => {
    if (service.details === undefined) {
        service.details = open(service, view, api);
        drawDetails(service, service.details);
        return;
    }
    service.details.plots.remove();
    service.details.panel.remove();
    service.details = undefined;
    view.button.ariaExpanded = "false";
};
`,
  "elements.js": `export const byId = (id) => {
    const element = document.getElementById(id);
    if (element === null)
        throw new Error(\`the page has no \${id}\`);
    return element;
};
export const inputById = (id) => {
    const element = byId(id);
    if (element instanceof HTMLInputElement || element instanceof HTMLSelectElement)
        return element;
    throw new Error(\`\${id} is no field\`);
};
export const make = (tag, className = "", ...children) => {
    const element = document.createElement(tag);
    if (className !== "")
        element.className = className;
    element.append(...children);
    return element;
};
const written = new WeakMap();
export const write = (element, text) => {
    if (written.get(element) === text)
        return;
    written.set(element, text);
    element.textContent = text;
};
export const mark = (element, name, value) => {
    if (element.dataset[name] !== value)
        element.dataset[name] = value;
};
export const hide = (element, isHidden) => {
    if (element.hidden !== isHidden)
        element.hidden = isHidden;
};
`,
  "keys.js": `import { find, list } from "./order.js";
import { serviceAt } from "./rows.js";
export const listen = (close) => document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (!(target instanceof HTMLElement) || event.ctrlKey || event.metaKey || event.altKey)
        return;
    if (key === "/" && !target.matches("input, select")) {
        event.preventDefault();
        find.focus();
    }
    if (key === "Escape") {
        const service = serviceAt(target);
        if (service?.details === undefined)
            return;
        close(service);
        service.view?.button.focus();
    }
    if ((key === "ArrowDown" || key === "ArrowUp") && target.matches(".row, #find")) {
        event.preventDefault();
        const rows = [...list.querySelectorAll(":scope > li:not([hidden]) > .row")];
        const at = rows.indexOf(target) + (key === "ArrowDown" ? 1 : -1);
        if (at < 0)
            find.focus();
        else
            rows[at]?.focus();
    }
});
`,
  "known.js": `export const services = new Map();
let skew = 0;
let since = 0;
export const serverNow = () => Date.now() + skew;
export const lookedFrom = () => since;
export const ours = (at) => at - skew;
export const take = (frame) => {
    skew = frame.at - Date.now();
    const gone = [];
    if (frame.full) {
        if (frame.since !== since) {
            for (const service of services.values())
                service.samples = [];
        }
        const names = new Set(frame.services.map(({ name }) => name));
        for (const [name, service] of services) {
            if (names.has(name))
                continue;
            services.delete(name);
            gone.push(service);
        }
    }
    since = frame.since;
    for (const change of frame.services) {
        const service = services.get(change.name);
        const known = { ...service?.known, ...change };
        if (service === undefined) {
            services.set(change.name, {
                known,
                samples: [],
                rates: {},
                view: undefined,
                details: undefined,
                isDirty: true
            });
            continue;
        }
        const counts = change.counts && service.known.counts && !frame.full
            ? { ...service.known.counts, ...change.counts }
            : known.counts;
        service.known = { ...known, counts };
        service.isDirty = true;
    }
    return gone;
};
const kept = 300;
const growth = ({ samples }, counter, seconds) => {
    const now = samples.at(-1);
    const then = samples.at(-1 - Math.min(seconds, samples.length - 1));
    return now === undefined || then === undefined
        ? 0
        : Math.max(0, now[counter] - then[counter]) / Math.max(1, now.at - then.at);
};
const ratesOf = (service) => {
    if (service.known.counts === null || service.samples.length < 2)
        return {};
    const share = (seconds) => {
        const calls = growth(service, "calls", seconds);
        return calls === 0 ? undefined : Math.min(1, growth(service, "success", seconds) / calls);
    };
    const success = share(30);
    const successNow = share(5);
    return {
        calls: growth(service, "calls", 5),
        refused: growth(service, "refused", 5),
        retries: growth(service, "retries", 5),
        fellBack: growth(service, "fellBack", 5),
        ...(success !== undefined && { success }),
        ...(successNow !== undefined && { successNow })
    };
};
export const sample = () => {
    const at = serverNow() / 1000;
    for (const service of services.values()) {
        const { counts, latency } = service.known;
        service.samples.push({
            at,
            calls: counts?.calls ?? 0,
            success: counts?.success ?? 0,
            failed: (counts?.failure ?? 0) + (counts?.overload ?? 0),
            refused: counts?.refusedCalls ?? 0,
            retries: counts?.retries ?? 0,
            fellBack: counts?.fellBack ?? 0,
            latency
        });
        if (service.samples.length > kept + 30)
            service.samples.splice(0, 30);
        const before = Object.values(service.rates).join();
        service.rates = ratesOf(service);
        if (Object.values(service.rates).join() !== before)
            service.isDirty = true;
    }
};
`,
  "order.js": `import { byId, hide, inputById, write } from "./elements.js";
import { services } from "./known.js";
import { viewOf } from "./rows.js";
import { lookOf, ranks } from "./words.js";
export const list = byId("rows");
export const find = inputById("find");
const sort = inputById("sort");
const collator = new Intl.Collator(undefined, { numeric: true });
const byName = (a, b) => collator.compare(a.known.name, b.known.name);
const trouble = ({ known, rates: { refused = 0, retries = 0, success = 1 } }) => 10 * ranks[lookOf(known).tone] + (success < 0.5 ? 4 : success < 0.99 ? 3 : 0) + (refused > 0.05 ? 2 : 0) +
    (retries > 0.05 ? 1 : 0);
const longerFirst = (a, b) => (a.known.openSince ?? Infinity) - (b.known.openSince ?? Infinity) || 0;
const orders = {
    trouble: (a, b) => trouble(b) - trouble(a) || longerFirst(a, b) || byName(a, b),
    name: byName,
    rate: (a, b) => (b.rates.calls ?? -1) - (a.rates.calls ?? -1) || byName(a, b),
    p99: (a, b) => (b.known.latency?.p99 ?? -1) - (a.known.latency?.p99 ?? -1) || byName(a, b)
};
const pause = 5_000;
let lastUse = -Infinity;
for (const event of ["pointermove", "pointerdown", "keydown", "wheel"]) {
    list.addEventListener(event, () => (lastUse = performance.now()), { passive: true });
}
const isInUse = () => performance.now() - lastUse < pause || document.activeElement?.matches("#rows input, #rows select") === true;
export const arrange = (isAsked) => {
    const focused = document.activeElement;
    if (!isAsked && isInUse())
        return;
    const sorted = [...services.values()].toSorted(orders[sort.value] ?? byName);
    let at = list.firstElementChild;
    for (const service of sorted) {
        const { item } = viewOf(service);
        if (item === at)
            at = at.nextElementSibling;
        else
            list.insertBefore(item, at);
    }
    if (focused instanceof HTMLElement && list.contains(focused))
        focused.focus({ preventScroll: true });
    const wanted = find.value.trim().toLocaleLowerCase();
    let shown = 0;
    for (const service of sorted) {
        const isShown = wanted === "" || service.known.name.toLocaleLowerCase().includes(wanted);
        hide(viewOf(service).item, !isShown);
        if (isShown)
            shown++;
    }
    write(byId("shown"), shown === services.size ? "" : \`\${shown} of \${services.size} services\`);
    hide(byId("empty"), shown > 0);
    write(byId("empty"), services.size === 0 ? "No services yet. Each appears with its pipeline." : "No service has this in its name.");
};
find.addEventListener("input", () => arrange(true));
sort.addEventListener("change", () => arrange(true));
byId("tools").addEventListener("submit", (event) => event.preventDefault());
`,
  "plots.js": `import { make } from "./elements.js";
import { ours } from "./known.js";
import { number } from "./words.js";
const perSecond = ({ samples }, counter) => samples.map((now, n) => {
    const then = samples[n - 1];
    return then === undefined ? null : Math.max(0, now[counter] - then[counter]) / Math.max(0.5, now.at - then.at);
});
const quantile = ({ samples }, name) => samples.map(({ latency }) => latency?.[name] ?? null);
const kinds = [
    {
        title: "Requests a second",
        series: [["succeeded", "--good"], ["failed", "--bad", [2, 3]], ["refused", "--warn", [8, 4]]],
        values: (service) => [
            perSecond(service, "success"),
            perSecond(service, "failed"),
            perSecond(service, "refused")
        ]
    },
    {
        title: "Latency of calls, ms",
        series: [["p50", "--good"], ["p95", "--warn", [8, 4]], ["p99", "--bad", [2, 3]]],
        values: (service) => [quantile(service, "p50"), quantile(service, "p95"), quantile(service, "p99")]
    }
];
const dataOf = (kind, service) => [
    service.samples.map(({ at }) => ours(at * 1000) / 1000),
    ...kind.values(service)
];
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const height = 190;
const optionsOf = ({ series }, width) => {
    const line = { stroke: css("--line"), width: 1 };
    const axis = { stroke: css("--soft"), grid: line, ticks: line, font: "11px system-ui, sans-serif" };
    return {
        width,
        height,
        cursor: { drag: { x: false, y: false } },
        scales: { y: { range: (_, _min, max) => [0, Math.max(1, (max ?? 0) * 1.1)] } },
        axes: [axis, { ...axis, size: 46 }],
        series: [
            { value: (_, at) => at === null ? "–" : new Date(at * 1000).toLocaleTimeString() },
            ...series.map(([label, color, dash]) => ({
                label,
                stroke: css(color),
                width: 2,
                ...(dash !== undefined && { dash }),
                points: { show: false },
                value: (_, value) => value === null ? "–" : number(value)
            }))
        ]
    };
};
const library = document.body.dataset["plots"] === "true"
    ? import("./uplot.js").then((module) => module.default, () => undefined)
    : Promise.resolve(undefined);
export const addPlots = (service, place) => {
    let isRemoved = false;
    let shown = [];
    const widthOf = (figure) => Math.max(240, figure.clientWidth);
    const watching = new ResizeObserver(() => {
        for (const { figure, plot } of shown) {
            const width = widthOf(figure);
            if (plot.width !== width)
                plot.setSize({ width, height });
        }
    });
    void library.then((Plot) => {
        if (isRemoved)
            return;
        if (Plot === undefined) {
            place.replaceChildren(make("p", "note", "Plots need the package uplot beside effect-resilience on the server."));
            return;
        }
        shown = kinds.map((kind) => {
            const inner = make("div");
            inner.setAttribute("role", "img");
            inner.ariaLabel = \`\${kind.title}: the last five minutes, as far as this page was open\`;
            const figure = make("figure", "", make("figcaption", "", kind.title), inner);
            place.append(figure);
            watching.observe(figure);
            return { kind, figure, plot: new Plot(optionsOf(kind, widthOf(figure)), dataOf(kind, service), inner) };
        });
    });
    return {
        draw: () => {
            for (const { kind, plot } of shown)
                plot.setData(dataOf(kind, service));
        },
        remove: () => {
            isRemoved = true;
            watching.disconnect();
            for (const { plot } of shown)
                plot.destroy();
            shown = [];
        }
    };
};
`,
  "rows.js": `import { make, mark, write } from "./elements.js";
import { drawStrip, makeStrip } from "./strip.js";
import { lookOf, number, percent, rate, storyOf } from "./words.js";
const columns = [
    { label: "Req/s", spoken: "requests a second", text: ({ rates }) => rate(rates.calls) },
    {
        label: "Success",
        spoken: "Success",
        text: ({ rates }) => percent(rates.success),
        tone: ({ rates: { success = 1 } }) => success >= 0.99 ? "" : success < 0.9 ? "bad" : "warn"
    },
    {
        label: "Refused/s",
        spoken: "refused a second",
        text: ({ rates }) => rate(rates.refused),
        tone: ({ rates: { refused = 0 } }) => refused > 0.05 ? "bad" : ""
    },
    { label: "p50", spoken: "p50", text: ({ known }) => number(known.latency?.p50) },
    { label: "p95", spoken: "p95", text: ({ known }) => number(known.latency?.p95) },
    { label: "p99", spoken: "p99", text: ({ known }) => number(known.latency?.p99) },
    { label: "Retries/s", spoken: "retries a second", text: ({ rates }) => rate(rates.retries) },
    {
        label: "In flight",
        spoken: "In flight",
        text: ({ known: { load } }) => load === null ? "–" : load.limit === null ? String(load.inFlight) : \`\${load.inFlight}/\${number(load.limit)}\`
    }
];
const cellOf = ({ label, spoken }) => {
    const value = make("span");
    const small = make("small", "", label);
    small.ariaHidden = "true";
    return { value, cell: make("span", "num", make("span", "hidden", \`\${spoken}: \`), small, value) };
};
let made = 0;
const byItem = new WeakMap();
export const serviceAt = (element) => {
    const item = element.closest("#rows > li");
    return item === null ? undefined : byItem.get(item);
};
export const viewOf = (service) => {
    if (service.view !== undefined)
        return service.view;
    const { name } = service.known;
    const title = make("bdi", "name", name);
    title.title = name;
    const glyph = make("span");
    glyph.ariaHidden = "true";
    const word = make("span", "word");
    const state = make("span", "state", glyph, word);
    const strip = makeStrip(make("span", "strip"));
    const cells = columns.map(cellOf);
    const when = make("span", "when");
    const users = make("span", "users");
    const cause = make("bdi", "cause");
    const story = make("span", "story", when, users, cause);
    const button = make("button", "row", make("span", "title", title, state), strip, ...cells.map(({ cell }) => cell), story);
    button.type = "button";
    button.ariaExpanded = "false";
    const item = make("li", "", button);
    item.id = \`service-\${made++}\`;
    byItem.set(item, service);
    const numbers = cells.map(({ value }) => value);
    service.view = { item, button, state, glyph, word, strip, numbers, story, when, users, cause };
    drawStrip(strip, service.known);
    return service.view;
};
export const drawRow = (service) => {
    const { known } = service;
    const view = viewOf(service);
    const { glyph, tone, word } = lookOf(known);
    mark(view.item, "tone", tone);
    mark(view.item, "state", known.state ?? "none");
    mark(view.state, "tone", tone);
    write(view.glyph, glyph);
    write(view.word, word);
    columns.forEach(({ text, tone }, n) => {
        const cell = view.numbers[n];
        if (cell === undefined)
            return;
        write(cell, text(service));
        if (tone !== undefined)
            mark(cell, "tone", tone(service));
    });
    const { cause, users, when } = storyOf(service);
    write(view.when, when);
    write(view.users, users);
    write(view.cause, cause);
    service.isDirty = false;
};
`,
  "stream.js": `import { byId, hide, inputById, mark, write } from "./elements.js";
import { authorization, isToken, tokens } from "./tokens.js";
import { span } from "./words.js";
const patience = 12_000;
const longestWait = 10_000;
class NotUnderstood extends Error {
}
const link = byId("link");
const form = byId("ask-token");
const field = inputById("read-token");
let isLive = false;
export const live = () => isLive;
const read = async (body, onFrame) => {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
        const { done, value } = await reader.read();
        if (done)
            return;
        text += value;
        for (let end = text.indexOf("\\n\\n"); end >= 0; end = text.indexOf("\\n\\n")) {
            const event = text.slice(0, end);
            text = text.slice(end + 2);
            if (event.startsWith("data: "))
                onFrame(event.slice("data: ".length));
        }
    }
};
export const follow = (url, { onChange, onFrame }) => {
    let stop;
    let failures = 0;
    let again;
    let heard = { steady: performance.now(), wall: Date.now() };
    let seen;
    const say = (state, text) => {
        mark(link, "link", state);
        write(link, text);
        document.body.classList.toggle("stale", state === "lost");
        isLive = state === "live";
        onChange();
    };
    const lost = (why, wait) => {
        stop?.abort();
        stop = undefined;
        again = Date.now() + (wait ?? Math.min(longestWait, 1000 * 2 ** failures++));
        say("lost", \`\${why}\${seen === undefined ? "" : \` What you see is from \${seen}.\`} Trying again.\`);
    };
    const ask = (why) => {
        stop = undefined;
        again = undefined;
        write(byId("token-note"), why);
        hide(form, false);
        say("lost", "Not connected: a token is needed.");
        field.focus();
    };
    const connect = async () => {
        const own = new AbortController();
        stop = own;
        again = undefined;
        heard = { steady: performance.now(), wall: Date.now() };
        try {
            const response = await fetch(url, {
                headers: { accept: "text/event-stream", ...authorization(tokens.read) },
                cache: "no-store",
                signal: own.signal
            });
            if (stop !== own)
                return;
            if (response.status === 401) {
                return ask(tokens.read === "" ? "This server asks for a token." : "The server does not know this token.");
            }
            if (response.status === 503) {
                const wait = Number(response.headers.get("retry-after")) * 1000 || longestWait;
                return lost(\`The server has no room for one more reader. Asking again in \${span(wait)}.\`, wait);
            }
            if (!response.ok || response.body === null)
                return lost(\`The server answers \${response.status}.\`);
            await read(response.body, (text) => {
                if (stop !== own)
                    return;
                heard = { steady: performance.now(), wall: Date.now() };
                try {
                    const frame = JSON.parse(text);
                    onFrame(frame);
                }
                catch {
                    throw new NotUnderstood();
                }
                seen = new Date().toLocaleTimeString();
                if (isLive)
                    return;
                failures = 0;
                hide(form, true);
                say("live", "Live");
            });
            if (stop === own)
                lost("Connection lost.");
        }
        catch (error) {
            if (stop !== own)
                return;
            lost(error instanceof NotUnderstood ? "The server is not understood: reload this page." : "Connection lost.");
        }
    };
    form.addEventListener("submit", (event) => {
        event.preventDefault();
        const shown = field.value.trim();
        if (!isToken(shown))
            return write(byId("token-note"), "A token has letters, digits and signs, and no spaces.");
        tokens.read = shown;
        field.value = "";
        void connect();
    });
    const silence = () => Math.max(performance.now() - heard.steady, Date.now() - heard.wall);
    const look = () => {
        if (stop !== undefined && silence() > patience)
            lost("Connection lost.");
        if (again !== undefined && Date.now() >= again)
            void connect();
    };
    setInterval(look, 200);
    const hurry = () => {
        if (again !== undefined && !document.hidden)
            again = Math.min(again, Date.now());
        look();
    };
    document.addEventListener("visibilitychange", hurry);
    addEventListener("online", hurry);
    void connect();
};
`,
  "strip.js": `import { lookedFrom, serverNow } from "./known.js";
import { span, stateWords } from "./words.js";
let past = 60_000;
export const setPast = (millis) => {
    past = millis;
};
export const getPast = () => past;
export const pastWords = () => past < 3_600_000 ? \`\${past / 60_000} min\` : "hour";
const colors = {
    Closed: "var(--strip-good)",
    HalfOpen: "var(--strip-warn)",
    Open: "var(--strip-bad)",
    Forced: "var(--strip-hand)"
};
const piecesOf = ({ state, timeline }, now) => {
    const from = now - past;
    const [first] = timeline;
    const changes = first === undefined
        ? [{ at: 0, state }]
        : [{ at: 0, state: first.state === "Closed" ? null : "Closed" }, ...timeline];
    return changes.flatMap((change, n) => {
        const start = Math.max(from, lookedFrom(), change.at);
        const end = Math.min(now, changes[n + 1]?.at ?? now);
        return end > start && change.state !== null
            ? [{ state: change.state, start: (start - from) / past, end: (end - from) / past }]
            : [];
    });
};
const toPercent = (share) => \`\${(share * 100).toFixed(2)}%\`;
const drawn = new WeakMap();
export const drawStrip = (strip, known) => {
    if (known.state === null)
        return;
    const pieces = piecesOf(known, serverNow());
    const begins = pieces.map(({ end, start, state }) => state === "Open" ? Math.max(0, Math.min(start, end - 0.006)) : start);
    const stops = pieces.map(({ end, state }, n) => \`\${colors[state]} \${toPercent(begins[n] ?? 0)} \${toPercent(Math.min(end, begins[n + 1] ?? end))}\`);
    const [begin = 0] = begins;
    const unseen = begin > 0.001 ? [\`var(--strip-none) 0 \${toPercent(begin)}\`] : [];
    const gradient = [...unseen, ...stops].join(", ");
    if (drawn.get(strip) !== gradient) {
        drawn.set(strip, gradient);
        strip.style.backgroundImage = gradient === "" ? "none" : \`linear-gradient(to right, \${gradient})\`;
    }
    const lengths = new Map();
    for (const { end, start, state } of pieces)
        lengths.set(state, (lengths.get(state) ?? 0) + (end - start) * past);
    const told = [...lengths].map(([state, length]) => {
        if (length > past - 1000)
            return stateWords[state];
        return \`\${stateWords[state]} for \${length >= 60_000 ? \`\${Math.round(length / 60_000)} min\` : span(length)}\`;
    });
    const label = \`the last \${pastWords()}: \${told.join(", ")}\`;
    if (strip.ariaLabel !== label)
        strip.ariaLabel = label;
};
export const makeStrip = (strip) => {
    strip.setAttribute("role", "img");
    return strip;
};
`,
  "sums.js": `import { byId, make, mark, write } from "./elements.js";
import { services } from "./known.js";
import { lookOf, percent, rate } from "./words.js";
const sums = [
    { label: "Services", text: () => String(services.size) },
    { label: "Open", text: ({ bad }) => String(bad), tone: ({ bad }) => bad > 0 ? "bad" : "" },
    { label: "Half-open", text: ({ warn }) => String(warn), tone: ({ warn }) => warn > 0 ? "warn" : "" },
    { label: "By hand", text: ({ hand }) => String(hand), tone: ({ hand }) => hand > 0 ? "hand" : "" },
    { label: "Requests/s", text: ({ calls }) => rate(calls) },
    { label: "Refused/s", text: ({ refused }) => rate(refused), tone: ({ refused }) => refused > 0.05 ? "bad" : "" },
    {
        label: "Success",
        text: ({ judged, succeeded }) => percent(judged === 0 ? undefined : succeeded / judged),
        tone: ({ judged, succeeded }) => judged > 0 && succeeded / judged < 0.99 ? "bad" : ""
    }
].map((sum) => {
    const value = make("dd");
    const box = make("div", "", make("dt", "", sum.label), value);
    byId("sums").append(box);
    return { ...sum, box, value };
});
const heading = document.title;
let said = "";
export const drawSums = (isLive) => {
    const totals = {
        bad: 0,
        warn: 0,
        hand: 0,
        good: 0,
        none: 0,
        calls: 0,
        refused: 0,
        succeeded: 0,
        judged: 0
    };
    for (const { known, rates: { calls = 0, refused = 0, success } } of services.values()) {
        totals[lookOf(known).tone]++;
        totals.calls += calls;
        totals.refused += refused;
        if (success === undefined)
            continue;
        totals.succeeded += success * calls;
        totals.judged += calls;
    }
    for (const { box, text, tone, value } of sums) {
        write(value, text(totals));
        if (tone !== undefined)
            mark(box, "on", tone(totals));
    }
    const { bad, hand, warn } = totals;
    said = \`\${bad} open, \${warn} half-open, \${hand} held by hand, of \${services.size} services\`;
    const title = \`\${isLive ? bad > 0 ? \`(\${bad}) \` : "" : "(not live) "}\${heading}\`;
    if (document.title !== title)
        document.title = title;
};
setInterval(() => {
    if (services.size > 0)
        write(byId("said"), said);
}, 4_000);
`,
  "tokens.js": `export const tokens = {
    read: "",
    control: ""
};
export const authorization = (token) => token === "" ? {} : { authorization: \`Bearer \${token}\` };
export const isToken = (text) => /^[!-~]+$/.test(text);
`,
  "words.js": `import { ours, serverNow } from "./known.js";
const looks = {
    Closed: { tone: "good", glyph: "✓", word: "Closed" },
    HalfOpen: { tone: "warn", glyph: "◐", word: "Half-open" },
    Open: { tone: "bad", glyph: "✕", word: "Open" },
    Forced: { tone: "hand", glyph: "■", word: "Held by hand" },
    forcedOpen: { tone: "bad", glyph: "■", word: "Forced open" },
    disabled: { tone: "hand", glyph: "■", word: "Disabled" },
    forcedClosed: { tone: "hand", glyph: "■", word: "Forced closed" },
    metricsOnly: { tone: "hand", glyph: "■", word: "Counts only" },
    none: { tone: "none", glyph: "–", word: "No breaker" }
};
export const lookOf = ({ mode, state }) => state === null ? looks.none : looks[state === "Forced" ? mode ?? state : state];
export const ranks = { bad: 4, warn: 3, hand: 2, good: 1, none: 0 };
export const stateWords = {
    Closed: "closed",
    HalfOpen: "half-open",
    Open: "open",
    Forced: "held by hand"
};
const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
export const number = (value) => {
    if (value === null || value === undefined)
        return "–";
    if (Math.abs(value) >= 10_000)
        return compact.format(value);
    if (value >= 100 || Number.isInteger(value))
        return String(Math.round(value));
    return value >= 10 ? value.toFixed(1) : value.toPrecision(2);
};
export const rate = (value) => value === undefined ? "–" : value < 100 ? String(Math.round(value * 10) / 10) : number(value);
export const percent = (value) => value === undefined ? "–" : value === 1 ? "100%" : \`\${(Math.floor(value * 1000) / 10).toFixed(1)}%\`;
export const clock = (at) => new Date(ours(at)).toLocaleTimeString();
export const span = (length) => {
    const seconds = Math.max(0, Math.round(length / 1000));
    if (length < 1000)
        return \`\${Math.max(0, Math.round(length))} ms\`;
    if (seconds < 60)
        return \`\${seconds} s\`;
    if (seconds < 3600)
        return \`\${Math.floor(seconds / 60)} min \${seconds % 60} s\`;
    if (seconds < 86_400)
        return \`\${Math.floor(seconds / 3600)} h \${Math.floor(seconds % 3600 / 60)} min\`;
    return \`\${Math.floor(seconds / 86_400)} d \${Math.floor(seconds % 86_400 / 3600)} h\`;
};
export const ago = (at) => span(Math.max(1000, serverNow() - at));
const recent = 300_000;
const often = 3;
const oftenIn = 600_000;
const openingsOf = ({ timeline }) => timeline.filter(({ state }, n) => state === "Open" && timeline[n - 1]?.state !== "HalfOpen");
const nowOf = ({ nextProbe, openSince, state, timeline }) => {
    const last = timeline.at(-1);
    if (state === "Forced")
        return last?.state === "Forced" ? \`by hand since \${clock(last.at)} (\${ago(last.at)})\` : "";
    if (openSince === null)
        return "";
    const since = \`since \${clock(openSince)} (\${ago(openSince)})\`;
    if (state === "HalfOpen")
        return \`\${since}, a probe tries whether it has recovered\`;
    if (nextProbe === null)
        return since;
    const left = nextProbe - serverNow();
    return \`\${since}, \${left > 0 ? \`probe in \${span(Math.max(1000, left))}\` : "the next call is a probe"}\`;
};
const whenOf = (known) => {
    const openings = openingsOf(known);
    const opened = openings.at(-1);
    const closed = known.timeline.at(-1);
    const parts = [];
    if (known.state !== "Closed")
        parts.push(nowOf(known));
    else if (closed?.state === "Closed" && opened !== undefined && serverNow() - closed.at < recent) {
        parts.push(\`recovered at \${clock(closed.at)}, after \${span(Math.max(1000, closed.at - opened.at))}\`);
    }
    const lately = openings.filter(({ at }) => serverNow() - at < oftenIn).length;
    if (lately >= often)
        parts.push(\`opened \${lately} times in 10 min\`);
    return parts.filter((part) => part !== "").join(", ");
};
const usersOf = ({ known, rates: { calls, fellBack = 0, refused = 0, successNow = 1 } }) => {
    if (successNow >= 0.99 && refused < 0.05)
        return calls === 0 && known.state === "Open" ? "nobody calls it now" : "";
    const parts = [];
    if (successNow < 0.99)
        parts.push(\`\${Math.ceil((1 - successNow) * 100)}% of calls fail\`);
    if (refused >= 0.05)
        parts.push(\`\${rate(refused)}/s refused\`);
    if (fellBack >= 0.05)
        parts.push(\`\${rate(fellBack)}/s answered by a fallback\`);
    return parts.join(", ");
};
export const storyOf = (service) => {
    const { known } = service;
    const when = whenOf(known);
    const users = usersOf(service);
    const isTold = users !== "" || (known.state !== "Closed" && when !== "");
    return { when, users, cause: isTold && known.lastError !== null ? known.lastError.kind : "" };
};
`
}
