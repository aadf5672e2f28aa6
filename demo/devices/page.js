'use strict'

// The pages of the demo. Knows no request and no database. Each form works without a script; `public/page.js` sends
// them without leaving the page, and puts what has changed (`data-key`) in its place.

const { html } = require('../html.js')
const { isHandheld } = require('./device.js')
const { SECONDS } = require('./load.js')

/** @typedef {{ [column: string]: any }} Row */
/** @typedef {InstanceType<typeof import('../html.js')['Html']>} Html */

const ICON =
  "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><circle cx='8' cy='8' r='7' fill='%232f5bd0'/><path d='M8 4v4l3 2' stroke='white' stroke-width='1.6' fill='none'/></svg>"
const CHARTS = [
  ['calls', 'Calls', 'a second'],
  ['batch', 'Batch size', 'calls'],
  ['loop', 'Event loop', 'in use']
]

/**
 * @param {string[]} users
 * @param {string} [problem] why the page is shown, if it is not what the visitor wanted
 */
function logIn(users, problem = '') {
  return document(
    'Log in',
    html`
    <main class="narrow">
      <div class="card">
        <h1>Who are you?</h1>
        ${problem === '' ? html`` : html`<p class="problem" role="alert">${problem}</p>`}
        <form method="post" action="/login" class="users">
          ${users.map(user => html`<button name="user" value="${user}">${avatar(user)}Log in as ${user}</button>`)}
        </form>
        <p class="quiet">Two users and no passwords: this is a demo. Log in with several browsers or private windows to
          see several devices.</p>
      </div>
    </main>`
  )
}

/** @param {boolean} isAway whether the database could not be asked */
function failed(isAway) {
  return document(
    'Out of order',
    html`
    <main class="narrow">
      <div class="card">
        <h1>Out of order</h1>
        <p class="problem" role="alert">${isAway ? 'The database cannot be reached.' : 'Something went wrong.'}</p>
        <p>Nobody was logged out by that. <a href="/">Try again</a></p>
      </div>
    </main>`
  )
}

/**
 * @param {any} session
 * @param {Row[]} list the user's sessions, the newest first
 * @param {string | null} own the handle of this one
 */
function devices(session, list, own) {
  return document(
    'Your devices',
    html`
    <main>
      <h1>Hello, ${session.user_name}</h1>
      <div class="columns">
        <div class="stack">${thisSession(session)}${yourDevices(list, own)}
        </div>${rightNow()}
      </div>
      <p class="hidden" id="summary" aria-live="polite"></p>
      <p id="news" role="status"></p>
    </main>
    <script src="/page.js" defer></script>`,
    html`
      <p class="user">${avatar(session.user_name)}${session.user_name}</p>
      ${button({ action: '/logout', label: 'Log out' })}`
  )
}

/** @param {any} session */
function thisSession({ sess_id: sid, sess_last_updated: updated, sess_expiration: expires }) {
  const left = expires.getTime() - Date.now()
  const shown = sid.slice(0, 8)
  return html`
          <section class="card" aria-labelledby="session-title">
            <h2 id="session-title" tabindex="-1">This session</h2>
            <div class="halves" id="session" data-key="${shown} ${expires.getTime()}">
              <div>
                <p class="label" id="left">Time left</p>
                <p class="big" role="timer" aria-labelledby="left" data-left="${left}">${clock(left)}</p>
                <progress max="${expires.getTime() - updated.getTime()}" value="${left}" aria-hidden="true"></progress>
                ${button({ action: '/extend', label: 'Extend', done: 'Extended: it has its full time again.', kind: 'main' })}
              </div>
              <div>
                <p class="label">Its id begins with</p>
                <p class="big"><code id="sid">${shown}</code></p>
                ${button({ action: '/refresh', label: 'New id', done: 'A new id. You are still logged in.' })}
              </div>
            </div>
            <p class="quiet" id="before" hidden>Before: <span id="trail"></span></p>
            <p class="quiet">In use, it gets a new id every 30 seconds by itself. The old one works for 30 more, for
              requests that are under way.</p>
          </section>`
}

/**
 * @param {Row[]} list
 * @param {string | null} own
 */
function yourDevices(list, own) {
  // The one at hand comes first; the others stay as they are.
  const rows = [...list].sort((one, other) => Number(other.handle === own) - Number(one.handle === own))
  const key = rows.map(({ handle, sess_expiration: expires }) => `${handle.slice(0, 8)} ${expires.getTime()}`)
  return html`
          <section class="card" aria-labelledby="devices-title">
            <h2 id="devices-title" tabindex="-1">Your devices</h2>
            <div id="devices" data-key="${key.join()}" data-count="${rows.length}">
              <ul>${rows.map(row => device(row, row.handle === own))}
              </ul>
              ${
                rows.length === 1
                  ? html`<p class="quiet">You are logged in nowhere else. Try it with another browser: it appears here by
                itself.</p>`
                  : button({
                      action: '/end-others',
                      label: 'Sign out everywhere else',
                      done: 'Signed out everywhere else.',
                      kind: 'danger'
                    })
              }
            </div>
          </section>`
}

/**
 * @param {Row} row
 * @param {boolean} isOwn
 */
function device({ handle, device: name, sess_creation_date: created, sess_expiration: expires }, isOwn) {
  const left = expires.getTime() - Date.now()
  const since = created.toISOString().slice(11, 16)
  // The handle is another after each new id, the time is not.
  const id = `end-${created.getTime()}`
  return html`
                <li>
                  ${isHandheld(name) ? PHONE : COMPUTER}
                  <div class="about">
                    <p><strong>${name}</strong>${isOwn ? html` <span class="tag">this device</span>` : html``}</p>
                    <p class="quiet">since <time datetime="${created.toISOString()}">${since} UTC</time>,
                      <span data-left="${left}">${clock(left)}</span> left</p>
                  </div>
                  ${isOwn ? html`` : signOut({ id, handle, name, since })}
                </li>`
}

/** @param {{ id: string, handle: string, name: string, since: string }} device */
function signOut({ id, handle, name, since }) {
  return html`<form method="post" action="/end" data-done="Signed out ${name}.">
                    <input type="hidden" name="handle" value="${handle}">
                    <button id="${id}" aria-label="Sign out ${name}, logged in since ${since} UTC">Sign out</button>
                  </form>`
}

function rightNow() {
  return html`
        <section class="card" id="figures" aria-labelledby="figures-title">
          <h2 id="figures-title">Right now</h2>
          <p class="quiet" id="traffic">No traffic but yours.
            <noscript>The figures need JavaScript; the rest works without.</noscript></p>
          <div class="charts">${CHARTS.map(([key, title, unit]) => chart(key, title, unit))}
          </div>
          ${button({
            action: '/load',
            label: 'Send traffic',
            done: `Traffic for ${SECONDS} seconds.`,
            kind: 'main'
          })}
        </section>`
}

/**
 * @param {string} key
 * @param {string} title
 * @param {string} unit
 */
function chart(key, title, unit) {
  return html`
            <figure id="${key}">
              <figcaption class="label">${title}</figcaption>
              <p class="big"><span class="value">–</span> <small>${unit}</small></p>
              <p class="quiet peak"></p>
              <svg viewBox="0 0 59 24" preserveAspectRatio="none" aria-hidden="true"><polygon/><polyline/></svg>
            </figure>`
}

/** @param {{ action: string, label: string, done?: string, kind?: string }} form */
function button({ action, label, done = '', kind = '' }) {
  const said = done === '' ? html`` : html`data-done="${done}"`
  return html`<form method="post" action="${action}" ${said}><button id="${action.slice(1)}" class="${kind}">${label}</button></form>`
}

/** @param {string} name */
function avatar(name) {
  return html`<span class="avatar" aria-hidden="true">${name[0]}</span>`
}

/** @param {number} ms */
function clock(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000))
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}

const COMPUTER = html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><rect x="4" y="5" width="16" height="11" rx="1.5"/><path d="M2 19.5h20"/></svg>`
const PHONE = html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><rect x="7" y="3" width="10" height="18" rx="2"/><path d="M11 18h2"/></svg>`

/**
 * @param {string} title
 * @param {Html} body
 * @param {Html} [user] who is logged in
 */
function document(title, body, user = html``) {
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
    <header>
      <p class="brand"><img src="${ICON}" alt=""> pg-sess-rs</p>${user}
    </header>${body}
    <footer class="quiet">Sessions in PostgreSQL: one row a session, one cookie in the browser</footer>
  </body>
</html>
`.text
}

module.exports = { devices, failed, logIn }
