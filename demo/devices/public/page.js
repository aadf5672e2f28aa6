// In the browser: counts down, draws the charts, keeps the page as the server would send it now.

const KEPT = 60
const LOOK_EVERY = 2000
const SUMMARY_EVERY = 5
const NEWS_FOR = 6000
const PAST_IDS = 4
/** How each figure is written, and the least that its chart's height stands for. */
const FIGURES = {
  calls: { write: value => value.toLocaleString('en'), least: 100 },
  batch: { write: value => value.toFixed(value < 10 ? 1 : 0), least: 4 },
  loop: { write: value => `${Math.round(value * 100)} %`, least: 1 }
}

const byId = id => document.getElementById(id)

// What is said, to eyes and ears.

let newsTimer
/** What is wrong at the moment: stays in sight, and is said once. */
let trouble = ''
function say(text) {
  byId('news').textContent = text
  clearTimeout(newsTimer)
  newsTimer = setTimeout(() => {
    if (byId('news').textContent !== trouble) byId('news').textContent = trouble
  }, NEWS_FOR)
}

// Time left. The server sends how much there is, not when it ends: the two clocks may differ.

const ends = new WeakMap()
function countDown() {
  for (const element of document.querySelectorAll('[data-left]')) {
    if (!ends.has(element)) ends.set(element, Date.now() + Number(element.dataset.left))
    const left = Math.max(0, ends.get(element) - Date.now())
    const seconds = Math.ceil(left / 1000)
    element.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
    const bar = element.parentElement.querySelector('progress')
    if (bar) bar.value = left
  }
}

// The page as it is now at the server.

/** One after the other, so that no older answer comes after a newer one. */
let turn = Promise.resolve()
function inTurn(work) {
  turn = turn.then(work).then(
    () => report(''),
    ({ problem = 'The server does not answer.' }) => report(problem)
  )
}

function report(now) {
  const before = trouble
  trouble = now
  if (now !== before) say(now || 'It works again.')
}

async function load(url, request) {
  const answer = await fetch(url, request)
  if (new URL(answer.url).pathname === '/login') return location.assign('/login?ended')
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html')
  if (!answer.ok) throw { problem: page.querySelector('.problem')?.textContent }
  show(page)
}

/** Puts in its place what is another; the focus stays where it was, or goes to the heading above. */
function show(page) {
  const before = { focused: document.activeElement, sid: byId('sid').textContent, count: byId('devices').dataset.count }
  for (const next of page.querySelectorAll('[data-key]')) {
    const old = byId(next.id)
    if (old.dataset.key === next.dataset.key) continue
    const heading = old.contains(before.focused) && byId(`${next.id}-title`)
    old.replaceWith(next)
    if (heading) (byId(before.focused.id) ?? heading).focus()
  }
  countDown()
  if (byId('sid').textContent !== before.sid) remember(before.sid)
  const { count } = byId('devices').dataset
  if (Number(count) > Number(before.count)) say(`You are logged in on ${count} devices now.`)
}

function remember(sid) {
  const past = document.createElement('code')
  past.textContent = sid
  byId('trail').prepend(past, ' ')
  byId('trail').querySelectorAll('code')[PAST_IDS]?.remove()
  byId('before').hidden = false
  byId('sid').classList.add('fresh')
}

document.addEventListener('submit', event => {
  const { action, dataset } = event.target
  if (!dataset.done) return
  event.preventDefault()
  const body = new URLSearchParams(new FormData(event.target))
  inTurn(async () => {
    trouble = '' // who asks is told, also if it is still the same
    await load(action, { method: 'POST', body })
    say(dataset.done)
  })
})

// The figures.

const values = { calls: [], batch: [], loop: [] }
let visitors = 0
let ticks = 0

function draw(key, value) {
  const { write, least } = FIGURES[key]
  const list = values[key]
  list.push(value)
  if (list.length > KEPT) list.shift()
  const most = Math.max(...list)
  const scale = 22 / Math.max(least, most)
  const points = list.map((one, at) => `${KEPT - list.length + at},${(23 - one * scale).toFixed(2)}`)
  const chart = byId(key)
  chart.querySelector('.value').textContent = write(value)
  chart.querySelector('.peak').textContent = `peak ${write(most)}`
  chart.querySelector('polyline').setAttribute('points', points.join(' '))
  chart.querySelector('polygon').setAttribute('points', `${KEPT - list.length},24 ${points.join(' ')} ${KEPT - 1},24`)
}

/** For those who do not see the charts: a sentence now and then, not each second. */
function summarise({ calls, batch, loop }) {
  byId('summary').textContent =
    `${FIGURES.calls.write(calls)} calls a second, ${FIGURES.batch.write(batch)} in a statement, ` +
    `${FIGURES.loop.write(loop)} of the event loop.`
}

function tell(figures) {
  const isNews = figures.visitors > 0 !== visitors > 0
  visitors = figures.visitors
  byId('traffic').textContent =
    visitors === 0 ? 'No traffic but yours.' : `${visitors} visitors look up their sessions as fast as they can.`
  byId('traffic').classList.toggle('busy', visitors > 0)
  if (isNews) ticks = 0
  if (isNews && visitors === 0) say('The traffic is over.')
  if (visitors > 0 && ticks++ % SUMMARY_EVERY === 1) summarise(figures)
}

new EventSource('/figures').addEventListener('message', ({ data }) => {
  const figures = JSON.parse(data)
  for (const key of Object.keys(FIGURES)) draw(key, figures[key])
  tell(figures)
})

countDown()
setInterval(countDown, 1000)
setInterval(() => document.hidden || inTurn(() => load('/')), LOOK_EVERY)
