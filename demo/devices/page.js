'use strict'

// The pages of the larger demo. Knows no request and no database.

const { html } = require('../html.js')

/** @typedef {{ [column: string]: any }} Row */
/** @typedef {InstanceType<typeof import('../html.js')['Html']>} Html */

const ICON =
  "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><circle cx='8' cy='8' r='7' fill='%232b5fc7'/><path d='M8 4v4l3 2' stroke='white' stroke-width='1.6' fill='none'/></svg>"
const CHARTS = [
  ['calls', 'Calls a second'],
  ['batch', 'Calls a statement'],
  ['loop', 'Event loop in use']
]
/** What a User-Agent says, the first that fits. @type {[RegExp, string][]} */
const BROWSERS = [
  [/Edg\//, 'Edge'],
  [/Firefox\//, 'Firefox'],
  [/Chrome\//, 'Chrome'],
  [/Safari\//, 'Safari']
]
/** @type {[RegExp, string][]} */
const SYSTEMS = [
  [/iPhone|iPad/, 'iOS'],
  [/Android/, 'Android'],
  [/Windows/, 'Windows'],
  [/Mac OS/, 'macOS'],
  [/Linux/, 'Linux']
]

/**
 * A name for the device behind a User-Agent.
 *
 * @param {string} [agent]
 */
function deviceOf(agent = '') {
  const [browser, system] = [BROWSERS, SYSTEMS].map(list => list.find(([pattern]) => pattern.test(agent))?.[1])
  return [browser ?? 'A browser', system].filter(Boolean).join(' on ')
}

/**
 * @param {string[]} users
 * @param {string} [problem] what was wrong with the last try
 */
function logIn(users, problem) {
  return document(
    'Log in',
    html`
      <section class="card narrow" aria-labelledby="title">
        <h1 id="title">Who are you?</h1>
        <p class="quiet">This demo has two users and no passwords. Log in with several browsers to see several devices.</p>
        ${problem === undefined ? html`` : html`<p class="problem" role="alert">${problem}</p>`}
        <form method="post" action="/login" class="buttons">
          ${users.map(user => html`<button class="main" name="user" value="${user}">Log in as ${user}</button>`)}
        </form>
      </section>`
  )
}

/**
 * @param {any} session
 * @param {Row[]} list the user's sessions, the newest first
 * @param {string | null} own the handle of this one
 */
function devices(session, list, own) {
  const others = list.filter(({ handle }) => handle !== own).length
  return document(
    'Your devices',
    html`
      <section class="card" aria-labelledby="title">
        <h1 id="title">Hello, ${session.user_name}</h1>
        <p>This browser’s session id begins with <code id="sid">${session.sess_id.slice(0, 8)}</code>.
          <span class="quiet">Nobody else may know the rest.</span></p>
        <div class="buttons">
          ${button('/extend', 'Extend', 'main')} ${button('/refresh', 'New id')} ${button('/logout', 'Log out')}
        </div>
      </section>
      <section class="card" aria-labelledby="devices">
        <h2 id="devices">Your devices</h2>
        <ul class="devices">${list.map(row => device(row, row.handle === own))}
        </ul>
        ${others === 0 ? html`<p class="quiet">You are logged in nowhere else.</p>` : button('/end-others', 'Sign out everywhere else')}
      </section>
      <section class="card" aria-labelledby="figures">
        <h2 id="figures">Right now</h2>
        <div class="charts">${CHARTS.map(([key, title]) => chart(key, title))}
        </div>
        <form method="post" action="/load" id="load"><button>Send some traffic</button></form>
        <p role="status" id="news"></p>
      </section>
      <script src="/page.js" defer></script>`
  )
}

/**
 * @param {string} action
 * @param {string} label
 * @param {string} [kind]
 */
function button(action, label, kind = '') {
  return html`<form method="post" action="${action}"><button class="${kind}">${label}</button></form>`
}

/**
 * @param {Row} row
 * @param {boolean} isOwn
 */
function device({ handle, device: name, sess_creation_date: created, sess_expiration: expires }, isOwn) {
  const left = Math.max(0, expires.getTime() - Date.now())
  const begun = `${created.toISOString().slice(11, 16)} UTC`
  return html`
          <li>
            <div>
              <strong>${name}</strong>${isOwn ? html` <span class="own">this device</span>` : html``}
              <span class="quiet">since <time datetime="${created.toISOString()}">${begun}</time>,
                <span class="left" data-left="${left}">${Math.ceil(left / 60_000)} min</span> left</span>
            </div>
            <form method="post" action="/end">
              <input type="hidden" name="handle" value="${handle}">
              <button aria-label="Sign out ${name}, logged in since ${begun}">Sign out</button>
            </form>
          </li>`
}

/**
 * @param {string} key
 * @param {string} title
 */
function chart(key, title) {
  return html`
          <figure>
            <figcaption>${title}</figcaption>
            <output id="${key}">–</output>
            <svg viewBox="0 0 60 20" preserveAspectRatio="none" aria-hidden="true"><polyline id="${key}-line" points=""/></svg>
          </figure>`
}

/**
 * @param {string} title
 * @param {Html} main
 */
function document(title, main) {
  return html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width">
    <title>${title} – pg-sess-rs demo</title>
    <link rel="icon" href="${ICON}">
    <link rel="stylesheet" href="/style.css">
  </head>
  <body>
    <main>${main}
    </main>
    <footer>The demo of pg-sess-rs: sessions in PostgreSQL</footer>
  </body>
</html>
`.text
}

module.exports = { deviceOf, devices, logIn }
