// In the browser: counts down, draws the charts, sends the traffic without leaving the page.

const KEPT = 60
/** How each figure is written, and the least that its chart's height stands for. */
const FIGURES = {
  calls: { write: value => value.toLocaleString('en'), least: 100 },
  batch: { write: value => value.toFixed(1), least: 4 },
  loop: { write: value => `${Math.round(value * 100)} %`, least: 1 }
}
const values = { calls: [], batch: [], loop: [] }

const ends = [...document.querySelectorAll('.left')].map(element => ({
  element,
  end: Date.now() + Number(element.dataset.left)
}))

function countDown() {
  for (const { element, end } of ends) {
    const seconds = Math.max(0, Math.ceil((end - Date.now()) / 1000))
    element.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
  }
}

function draw(key, value) {
  const { write, least } = FIGURES[key]
  const list = values[key]
  list.push(value)
  if (list.length > KEPT) list.shift()
  const most = Math.max(least, ...list)
  const points = list.map((one, at) => `${KEPT - list.length + at + 1},${20 - (one / most) * 19}`)
  document.getElementById(key).textContent = write(value)
  document.getElementById(`${key}-line`).setAttribute('points', points.join(' '))
}

countDown()
setInterval(countDown, 1000)

new EventSource('/figures').addEventListener('message', ({ data }) => {
  for (const [key, value] of Object.entries(JSON.parse(data))) draw(key, value)
})

document.getElementById('load').addEventListener('submit', async event => {
  event.preventDefault()
  const { ok } = await fetch('/load', { method: 'POST' })
  document.getElementById('news').textContent = ok ? 'Traffic for some seconds.' : 'That did not work.'
})
