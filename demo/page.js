'use strict'

// The demo's two pages, HTML by hand. Knows no request and no database.

const { Html, html } = require('./html.js')

/** @typedef {import('pg-sess-rs').SessionRow} Row */
/** @typedef {InstanceType<typeof import('./html.js')['Html']>} HtmlText */

/**
 * The page with the log-in form.
 *
 * @param {string} [problem] what was wrong with the last try
 */
function logIn(problem) {
  const hint = problem === undefined ? html`` : html`<p class="problem" id="problem" role="alert">${problem}</p>`
  const described = problem === undefined ? html`` : html`aria-invalid="true" aria-describedby="problem"`
  return document(
    'Log in',
    html`
      <h1>Log in</h1>
      <p class="quiet">Any name will do: this demo has no passwords.</p>
      <form method="post" action="/login">
        <label for="name">Your name</label>
        <input id="name" name="name" required maxlength="40" autocomplete="nickname" autofocus ${described}>
        ${hint}
        <button class="main">Log in</button>
      </form>`
  )
}

/**
 * The page of someone who is logged in: how long the session has left, and its row.
 *
 * @param {Row} row
 */
function session(row) {
  const left = row.sess_expiration.getTime() - Date.now()
  const length = row.sess_expiration.getTime() - row.sess_last_updated.getTime()
  return document(
    'Your session',
    html`
      <h1>Hello, ${String(row.user_name)}</h1>
      <p class="quiet" id="left">Time left in this session</p>
      <p class="clock" role="timer" aria-labelledby="left" data-left="${left}">${formatLeft(left)}</p>
      <progress max="${length}" value="${left}" aria-hidden="true"></progress>
      <p role="status"></p>
      <div class="buttons">
        <form method="post" action="/extend"><button class="main">Extend</button></form>
        <form method="post" action="/logout"><button>Log out</button></form>
      </div>
      <table>
        <caption>Its row in the table <code>sess</code></caption>
        <tbody>${Object.entries(row).map(([column, value]) => tableRow(column, value))}</tbody>
      </table>
      <p class="quiet">Whoever knows the whole <code>sess_id</code> is logged in, so even this page shows only its
        beginning.</p>
      <script>${new Html(COUNT_DOWN)}</script>`
  )
}

/**
 * @param {string} column
 * @param {unknown} value
 */
function tableRow(column, value) {
  return html`
          <tr><th scope="row"><code>${column}</code></th><td>${column === 'sess_id' ? `${String(value).slice(0, 8)}-…` : cell(value)}</td></tr>`
}

/** @param {unknown} value */
function cell(value) {
  if (value === null) return html`<i>NULL</i>`
  if (!(value instanceof Date)) return html`${String(value)}`
  const iso = value.toISOString()
  return html`<time datetime="${iso}">${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC</time>`
}

/**
 * Runs here, and in the browser: see COUNT_DOWN.
 *
 * @param {number} ms
 */
function formatLeft(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000))
  const two = (/** @type {number} */ number) => String(number).padStart(2, '0')
  const days = Math.floor(seconds / 86400)
  const hours = Math.floor(seconds / 3600) % 24
  const minutes = Math.floor(seconds / 60) % 60
  const clock = `${hours > 0 || days > 0 ? `${hours}:${two(minutes)}` : minutes}:${two(seconds % 60)}`
  return days > 0 ? `${days} d ${clock}` : clock
}

// The server sends how much time is left, not when it ends: the two clocks may differ.
const COUNT_DOWN = `
        ${formatLeft}
        const clock = document.querySelector('.clock')
        const bar = document.querySelector('progress')
        const news = document.querySelector('[role=status]')
        const end = Date.now() + Number(clock.dataset.left)
        function tick() {
          const left = end - Date.now()
          clock.textContent = formatLeft(left)
          bar.value = Math.max(0, left)
          if (left <= 0) news.innerHTML = 'This session has ended. <a href="/login">Log in again</a>'
          else if (left < 60000 && !news.textContent) news.textContent = 'Less than a minute left.'
          if (left > 0) setTimeout(tick, left % 1000 || 1000)
        }
        tick()
      `

const STYLE = `
  :root {
    color-scheme: light dark;
    --ground: #f3f4f7; --card: #fff; --line: #d9dce3; --ink: #1b1f27; --quiet: #596070;
    --accent: #2b5fc7; --on-accent: #fff; --problem: #b3261e;
  }
  @media (prefers-color-scheme: dark) {
    :root {
      --ground: #12141a; --card: #1b1e26; --line: #343946; --ink: #e8eaf0; --quiet: #a0a7b8;
      --accent: #8fb3ff; --on-accent: #0d1a33; --problem: #ffb4ab;
    }
  }
  * { box-sizing: border-box; margin: 0; }
  body {
    min-height: 100vh; display: grid; place-content: center; justify-items: center; gap: 1rem; padding: 1.5rem 1rem;
    grid-template-columns: minmax(0, 34rem);
    background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif;
  }
  main {
    width: 100%; padding: clamp(1.25rem, 5vw, 2.5rem); display: grid; gap: 1rem;
    background: var(--card); border: 1px solid var(--line); border-radius: 1rem;
  }
  h1 { font-size: 1.6rem; line-height: 1.2; overflow-wrap: anywhere; }
  form { display: grid; gap: .5rem; }
  label { font-weight: 600; }
  input, button { font: inherit; padding: .6rem .9rem; border-radius: .5rem; border: 1px solid var(--quiet); }
  input { margin-bottom: .5rem; background: var(--ground); color: inherit; }
  button { background: transparent; color: inherit; font-weight: 600; cursor: pointer; min-width: 7rem; }
  button:hover { border-color: var(--ink); }
  button.main { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
  button.main:hover { filter: brightness(1.08); }
  .buttons { display: flex; flex-wrap: wrap; gap: .75rem; }
  :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
  .quiet, footer { color: var(--quiet); font-size: .9rem; }
  .problem { color: var(--problem); }
  #left { margin-bottom: -1rem; }
  .clock { font-size: clamp(2.75rem, 14vw, 4rem); font-weight: 650; line-height: 1.1; font-variant-numeric: tabular-nums; }
  progress { appearance: none; width: 100%; height: .4rem; border: 0; border-radius: 1rem; overflow: hidden; background: var(--line); }
  progress::-webkit-progress-bar { background: var(--line); }
  progress::-webkit-progress-value { background: var(--accent); }
  progress::-moz-progress-bar { background: var(--accent); }
  [role=status]:empty { margin-top: -1rem; }
  [role=status] { font-weight: 600; }
  a { color: var(--accent); }
  table { margin-top: .5rem; width: 100%; border-collapse: collapse; font-size: .9rem; }
  caption { text-align: left; font-weight: 600; padding-bottom: .25rem; }
  th, td { text-align: left; vertical-align: top; padding: .45rem 0; border-top: 1px solid var(--line); }
  th { font-weight: 400; padding-right: 1rem; color: var(--quiet); white-space: nowrap; }
  td { overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
  code { font-family: ui-monospace, monospace; font-size: .95em; }
  @media (max-width: 30rem) {
    th, td { display: block; padding: .1rem 0; }
    th { padding-top: .45rem; }
    td { border: 0; padding-bottom: .45rem; }
  }`

const ICON =
  "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><circle cx='8' cy='8' r='7' fill='%232b5fc7'/><path d='M8 4v4l3 2' stroke='white' stroke-width='1.6' fill='none'/></svg>"

/**
 * @param {string} title
 * @param {HtmlText} main
 */
function document(title, main) {
  return html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width">
    <title>${title} – pg-sess-rs demo</title>
    <link rel="icon" href="${ICON}">
    <style>${new Html(STYLE)}
    </style>
  </head>
  <body>
    <main>${main}
    </main>
    <footer>The demo of pg-sess-rs: sessions in PostgreSQL</footer>
  </body>
</html>
`.text
}

module.exports = { logIn, session }
